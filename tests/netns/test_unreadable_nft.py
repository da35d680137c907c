"""A gateway beside an nft that cannot list what a newer one made: it hangs, or prints what is no listing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

# Stands before the real bindings on the path, and spoils their listings while the file `mood` is there.
_BINDING = """
import os, sys
here = os.path.dirname(os.path.abspath(__file__))
path, me = sys.path, sys.modules.pop("nftables")
sys.path = [{real!r}, *path]
import nftables
real, sys.path, sys.modules["nftables"] = nftables, path, me

class Nftables(real.Nftables):
    def cmd(self, text):
        code, output, error = super().cmd(text)
        if "list table" in text and os.path.exists(os.path.join(here, "mood")):
            output = output[: len(output) // 2]
        return code, output, error
"""


@pytest.fixture
def spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    directory = tmp_path / "binding" / "nftables"
    directory.mkdir(parents=True)
    bindings = find_spec("nftables")
    assert bindings
    assert bindings.origin
    (directory / "__init__.py").write_text(_BINDING.format(real=str(Path(bindings.origin).parents[1])))
    monkeypatch.setenv("PYTHONPATH", str(directory.parent))

    def set_(on: bool) -> None:
        mood = directory / "mood"
        mood.touch() if on else mood.unlink()

    return set_


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(spec())
    return file


def test_a_command_says_what_is_wrong_and_changes_nothing(
    site: Site, gateway: GatewayHost, spec_file: Path, spoil: Callable[[bool], None]
) -> None:
    site.far.serve(443)
    gateway.nvictl("apply", spec_file)
    spoil(True)
    spec_file.write_text(spec().replace("as: isp-a", "as: isp-b", 1))
    command = [sys.executable, "-m", "nvi_operator", "apply", str(spec_file), "--netns", site.gateway.netns]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "libnftables printed no listing" in done.stderr
    assert "made by a newer nft?" in done.stderr
    assert "Traceback" not in done.stderr
    assert site.client.connect(site.far.address, 443).seen == A
    spoil(False)
    spec_file.write_text(spec())
    assert gateway.differences(spec_file) == []


def test_the_daemon_heals_all_but_the_table_and_then_the_table(
    site: Site, gateway: GatewayHost, spec_file: Path, spoil: Callable[[bool], None], tmp_path: Path
) -> None:
    site.far.serve(443)
    daemon = Daemon(site.gateway, spec_file, tmp_path / "log", forked=False)
    try:
        daemon.until("in sync")
        spoil(True)
        site.gateway.run("nft", "add", "chain", "inet", "nvi", "theirs")
        daemon.until("libnftables printed no listing")
        site.gateway.run("ip", "rule", "del", "pref", "1010", "iif", "lan0")
        daemon.until("drift beside the nft table", "1010", "healed")
        assert site.client.connect(site.far.address, 443).seen == A
        spoil(False)
        daemon.until("in sync", seconds=60)
    finally:
        assert daemon.stop() == 0
    assert gateway.differences(spec_file) == []
    assert site.leaks() == 0


def test_a_table_that_is_set_dormant_is_drift_and_woken(
    site: Site, gateway: GatewayHost, spec_file: Path, tmp_path: Path
) -> None:
    site.far.serve(443)
    gateway.nvictl("apply", spec_file)
    site.gateway.run("nft", "add table inet nvi { flags dormant; }")
    drift = gateway.nvictl("drift", spec_file, check=False)
    assert drift.returncode == 1
    assert "dormant" in drift.stdout
    gateway.nvictl("apply", spec_file)
    assert site.client.connect(site.far.address, 443).seen == A
    daemon = Daemon(site.gateway, spec_file, tmp_path / "log")
    try:
        daemon.until("in sync")
        site.gateway.run("nft", "add table inet nvi { flags dormant; }")
        daemon.until("dormant", "healed")
    finally:
        assert daemon.stop() == 0
    assert gateway.differences(spec_file) == []
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0
