"""nvictl by pipx, as a new user installs it: what needs no root needs neither nft nor the distribution's modules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.command import ROOT
from tests.netns.scenarios import spec
from tests.netns.test_history import WITHOUT_WEB
from tests.pipx.user import HOW_TO, INSTALL, NOBODY, User

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that every user may enter."""
    made = Path(mkdtemp(prefix="nvi-pipx-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def user(place: Path) -> User:
    made = User(place / "user", NOBODY)
    made.run(*INSTALL.split())
    return made


def test_the_how_to_validates_renders_and_plans_for_a_gateway_elsewhere(user: User, gateway: GatewayHost) -> None:
    """Its commands as they stand, but for ssh."""
    section = HOW_TO.read_text().partition("\n## Without root: pipx\n")[2].partition("\n## ")[0]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert commands == [
        INSTALL,
        "nvictl validate DIR",
        "nvictl render DIR",
        "ssh root@edge-1 nvictl show state > edge-1.json",
        "nvictl plan --against edge-1.json DIR",
    ]
    gateway.apply(spec())
    (user.home / "DIR").mkdir()
    (user.home / "DIR/gateway.yaml").write_text(WITHOUT_WEB)
    (user.home / "edge-1.json").write_text(gateway.nvictl("show", "state").stdout)
    validate, render, plan = (command.split() for command in commands if command.startswith("nvictl"))
    assert "valid" in user.run(*validate).stdout
    assert "table inet nvi" in user.run(*render).stdout
    there = gateway.nvictl("plan", user.home / "DIR", "-o", "json").stdout
    assert json.loads(user.run(*plan, "-o", "json").stdout) == json.loads(there)


def test_every_example_is_valid_as_installed(user: User) -> None:
    """Nothing of the checkout is needed, nor where it was built."""
    for example in sorted((ROOT / "examples").glob("*/gateway.yaml")):
        user.run("nvictl", "validate", "--host", "all", example.parent)


def test_a_plan_against_this_machine_says_what_is_missing(user: User) -> None:
    refused = user.run("nvictl", "plan", user.home / "project/examples/dual-wan", check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("nvictl: nftables: Python bindings not found\n  hint: apt-get install")


def test_root_makes_a_gateway_where_the_systems_modules_are_seen(place: Path, site: Site) -> None:
    """As the how-to says of `plan`, `apply` and `run`."""
    root = User(place / "root", 0)
    root.run(*INSTALL.split(), "--system-site-packages")
    (root.home / "gateway.yaml").write_text(spec())
    gateway = GatewayHost(site.gateway)
    root.run("nvictl", "apply", root.home / "gateway.yaml", "--netns", site.gateway.netns)
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        assert flow.seen == "203.0.113.2"
    root.run("nvictl", "down", "--netns", site.gateway.netns)
    assert gateway.owned() == []
