"""The package on clean roots of both releases: installed, a gateway, upgraded, removed, purged; with packets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deb.root import Root, next_version
from tests.lab import GatewayHost, Lab, Site, dual_wan
from tests.lab.net import until
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

DIRECTORY = Path(os.environ.get("NVI_DEB", "."))
HOW_TO = Path(__file__).parents[2] / "docs/how-to/install.md"
DONE = "in sync"


def package(name: str) -> Path:
    (found,) = DIRECTORY.glob(f"{name}_*.deb")
    return found


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """With the package, as docs/how-to/install.md installs it."""
    made = Root(DIRECTORY.parent / f"roots/{request.param}.tar", tmp_path_factory.mktemp("deb") / request.param)
    made.run("apt-get", "update", "-qq")
    made.run("apt-get", "install", "-y", "-qq", made.put(package("nvi-operator")))
    yield made
    shutil.rmtree(made.path)


@pytest.fixture
def site() -> Iterator[Site]:
    with Lab() as lab:
        yield dual_wan(lab)


@contextmanager
def daemon(root: Root, site: Site, log: Path) -> Iterator[subprocess.Popen[str]]:
    """`nvictl run` of the root, as the unit has it, when it is in sync."""
    with log.open("w") as output:
        process = site.gateway.popen(*root.argv("nvictl", "run"), stdout=output, stderr=output)
        try:
            until(lambda: DONE in log.read_text() or process.poll() is not None, DONE, seconds=60)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_a_new_user_finds_what_the_manual_names(root: Root) -> None:
    assert root.run("nvictl", "--version").stdout.startswith("nvictl ")
    assert (root.path / "usr/share/man/man1/nvictl.1.gz").exists()
    examples = "/usr/share/doc/nvi-operator/examples"
    root.run("nvictl", "validate", f"{examples}/dual-wan")
    root.run("nvictl", "render", f"{examples}/dual-wan")
    assert root.run("nvictl", "module", "status", check=False).stderr == ""
    assert "nvi-operator" in root.run("getent", "group", "nvi-operator").stdout
    assert "nvictl" in root.run("nvictl", "completion", "bash").stdout


def test_the_how_to_makes_a_gateway(root: Root, site: Site) -> None:
    """Its commands as they stand, without systemd."""
    package_section = HOW_TO.read_text().partition("\n## ")[2].partition("\n## ")[0]
    commands = [
        line.partition("#")[0].split() for line in package_section.splitlines() if line.startswith("    nvictl ")
    ]
    assert [words[1] for words in commands] == ["init", "validate", "plan"]
    for words in (*commands, ["nvictl", "apply", "/etc/nvi-operator"]):
        done = site.gateway.run(*root.argv(*words), check=False, timeout=300)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        assert flow.seen == "203.0.113.2"
    site.gateway.run(*root.argv("nvictl", "down", "--quiet"), timeout=300)
    (root.path / "etc/nvi-operator/gateway.yaml").unlink()


OPERATOR = """\
apiVersion: nvi-operator/v1
kind: Operator
spec:
  source: { git: { url: file:///srv/net.git, interval: 0 } }
"""


def test_a_git_source_and_a_confirmation_work_as_installed(root: Root, site: Site, tmp_path: Path) -> None:
    """By processes of their own, which have to find what only the package knows: the fetcher's, and the waiter."""
    root.run("apt-get", "install", "-y", "-qq", "git")
    etc, work = root.path / "etc/nvi-operator", root.path / "srv/net"
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.net", "-C", "/srv/net")
    root.run("git", "init", "-q", "-b", "main", "/srv/net")
    (work / "gateway.yaml").write_text(spec())
    (etc / "operator.yaml").write_text(OPERATOR)
    for words in (("add", "-A"), ("commit", "-q", "-m", "first"), ("clone", "-q", "--bare", ".", "/srv/net.git")):
        root.run(*git, *words)
    site.server.serve(443)
    site.server.serve(8443)
    with daemon(root, site, tmp_path / "log"):
        assert site.far.reaches(A, 443)
    (etc / "operator.yaml").unlink()
    other = spec().replace("443/tcp", "8443/tcp")
    (etc / "gateway.yaml").write_text(other)
    apply = root.argv("sh", "-c", "nvictl apply --confirm 5s --quiet /etc/nvi-operator && sleep 60")
    process = site.gateway.popen(*apply)  # the waiter ends with what /proc is mounted for
    try:
        until(lambda: site.far.reaches(A, 8443), "it is applied", seconds=60)
        until(lambda: site.far.reaches(A, 443), "it is given up", seconds=60)
    finally:
        process.kill()
        process.wait()
    site.gateway.run(*root.argv("nvictl", "down", "--quiet"), timeout=300)
    (etc / "gateway.yaml").unlink()


def test_a_gateway_outlives_upgrade_and_removal_and_a_purge_takes_it_down(
    root: Root, site: Site, tmp_path: Path
) -> None:
    gateway = GatewayHost(site.gateway)
    before = gateway.foreign()
    (root.path / "etc/nvi-operator/gateway.yaml").write_text(spec())
    site.far.serve(443)

    def inside(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = site.gateway.run(*root.argv(*words), check=False, timeout=300)
        assert not (check and done.returncode), f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def counted() -> dict[str, int]:
        """By the release's own nvictl: an older libnftables, outside, dies of its table."""
        groups = json.loads(inside("nvictl", "status", "-o", "json").stdout)["counters"]
        return {name: value for group in groups.values() for name, value in group.items() if value}

    with daemon(root, site, tmp_path / "log"), site.client.connect(site.far.address, 443) as flow:
        flow.again()
        counters = counted()
        assert counters
        root.run("apt-get", "install", "-y", "-qq", root.put(next_version(package("nvi-operator"), tmp_path)))
        assert "+next" in root.run("dpkg-query", "-W", "nvi-operator").stdout
        flow.again()
    with daemon(root, site, tmp_path / "log of the next"):
        flow_goes_on = site.client.connect(site.far.address, 443)
        flow_goes_on.again()
        assert all(counted().get(name, 0) >= value for name, value in counters.items())
        assert inside("nvictl", "diff", "/etc/nvi-operator").stdout

    removed = inside("apt-get", "remove", "-y", "nvi-operator")
    assert "the gateway stays as it is" in removed.stdout + removed.stderr
    assert not (root.path / "usr/bin/nvictl").exists()
    flow_goes_on.again()
    flow_goes_on.close()
    assert site.client.reaches(site.far.address, 443)

    inside("apt-get", "purge", "-y", "nvi-operator")
    assert gateway.owned() == []
    assert gateway.foreign() == before
    assert not list((root.path / "var/lib").glob("nvi-operator*"))
    assert (root.path / "etc/nvi-operator/gateway.yaml").exists()
