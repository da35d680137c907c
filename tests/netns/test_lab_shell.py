"""`python -m tests.lab`: what a user types, and what is left when the shell ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.command import ROOT
from tests.lab.leftovers import namespaces
from tests.lab.topologies import TOPOLOGIES

pytestmark = pytest.mark.netns


def lab(*argv: str, typed: str = "") -> tuple[int, str, int]:
    """Exit code, output, process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    output, _ = process.communicate(typed, timeout=60)
    return process.returncode, output, process.pid


def test_the_names_of_hosts_are_commands() -> None:
    typed = """
        client ping -c1 -W1 192.0.2.80
        gw bash -c 'exit 3'; echo "code $?"
        echo 'cat /sys/class/net/wan0/operstate' | gw
        nvictl status | head -1
        nvictl validate examples/dual-wan
        (far tcpdump -ni a0 > /dev/null 2>&1 &)
        exit 4
    """
    code, output, pid = lab("dual-wan", "--spec", "examples/dual-wan", typed=typed)
    assert code == 4
    assert "nvictl works on the gateway" in output
    assert "1 received" in output
    assert "code 3" in output
    assert "\nup\n" in output
    assert "objects of the gateway" in output
    assert "gateway edge: valid" in output
    assert "foreign sources that the ISPs saw: 0" in output
    assert namespaces(f"nvi{pid}.") == []


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_topology_is_drawn_and_opens(topology: str) -> None:
    code, output, pid = lab(topology, typed="far ip -br addr\nexit\n")
    assert code == 0
    assert "wan0 --- isp-a" in output
    assert "192.0.2.80/32" in output
    assert namespaces(f"nvi{pid}.") == []


def test_the_list_draws_them_all() -> None:
    code, output, _ = lab("--list")
    assert code == 0
    assert [line for line in output.splitlines() if line in TOPOLOGIES] == list(TOPOLOGIES)
    assert max(map(len, output.splitlines())) <= 80


def test_a_spec_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("kind: Gateway\n")
    code, output, pid = lab("dual-wan", "--spec", str(tmp_path))
    assert code == 1
    assert "gateway.yaml:1:1" in output
    assert "Traceback" not in output
    assert namespaces(f"nvi{pid}.") == []


def test_a_spec_that_is_not_there_is_told_before_anything_is_built() -> None:
    code, output, _ = lab("dual-wan", "--spec", "/nonexistent")
    assert code == 2
    assert "/nonexistent: no such directory" in output


def test_nothing_to_build_is_reported() -> None:
    code, output, _ = lab()
    assert code == 2
    assert "name a topology" in output
