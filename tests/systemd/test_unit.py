"""nvi-operator.service beside systemd-networkd and nftables.service, all of them enabled when the machine booted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nvi_operator.rollout.place import VARIABLE

UNIT = "nvi-operator.service"
SPEC = Path("/etc/nvi-operator/gateway.yaml")
DROP_IN = Path("/etc/systemd/networkd.conf.d/50-nvi-operator.conf")
PROTOCOL = "78"
NVICTL = "/opt/nvi-operator/.venv/bin/nvictl"
SECONDS = 300.0  # an emulated machine takes 10 s to start Python, a busy one much longer


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """As root at a terminal: without the directory of its own that a test run has for histories."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert not (check and done.returncode), f"{' '.join(words)}: {done.stdout}{done.stderr}\n{journal()}"
    return done


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {SECONDS:g} s for: {what}\n{journal()}"
        time.sleep(0.2)


def journal(unit: str = UNIT) -> str:
    return subprocess.run(
        ["journalctl", "-b", "-o", "cat", "--no-pager", "-u", unit], capture_output=True, text=True, check=False
    ).stdout


def shown(name: str) -> str:
    return run("systemctl", "show", "--value", "-p", name, UNIT).stdout.strip()


def up() -> bool:
    return (shown("ActiveState"), shown("SubState")) == ("active", "running") and "in sync" in shown("StatusText")


def as_the_spec_says() -> bool:
    """Asked of the kernel: after a file is saved, the unit's status is of the spec before until it was read."""
    return run(NVICTL, "diff", str(SPEC.parent), check=False).returncode == 0


def fib() -> list[str]:
    """The gateway's rules and routes, each as JSON."""
    return sorted(
        json.dumps(entry, sort_keys=True)
        for family in ("-4", "-6")
        for listed in (["rule"], ["route", "show", "table", "all"])
        for entry in json.loads(run("ip", family, "-j", "-N", *listed).stdout or "[]")
        if str(entry.get("protocol")) == PROTOCOL
    )


def dataplane() -> tuple[list[str], str, str]:
    """Rules and routes, table, device."""
    (link,) = json.loads(run("ip", "-j", "link", "show", "nvi0").stdout)
    return fib(), run("nft", "-s", "list", "table", "inet", "nvi").stdout, str(link["ifindex"])


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Each test begins and ends with the unit running, the first spec, and networkd's drop-in in place."""
    spec, drop_in = SPEC.read_bytes(), DROP_IN.read_bytes()
    yield
    DROP_IN.write_bytes(drop_in)
    run("systemctl", "start", UNIT, check=False)
    if SPEC.read_bytes() != spec:
        SPEC.write_bytes(spec)
        until(as_the_spec_says, "the first spec applied")
    until(up, "the unit in sync")


def test_a_boot_makes_the_gateway() -> None:
    until(up, "the unit in sync")
    assert shown("NRestarts") == "0"
    assert fib()
    assert "chain" in run("nft", "list", "table", "inet", "nvi").stdout
    for unit in ("systemd-networkd.service", "nftables.service"):
        assert run("systemctl", "is-active", unit).stdout.strip() == "active"


def test_commands_know_what_the_service_did() -> None:
    """With fewer rights than theirs it has its history and its socket where they look."""
    until(up, "the unit in sync")
    history = json.loads(run(NVICTL, "history", "-o", "json").stdout)["revisions"]
    assert "run" in {revision["action"] for revision in history}
    assert json.loads(run(NVICTL, "status", "-o", "json").stdout)["daemon"]


def test_the_boot_has_no_ordering_cycle_and_the_unit_no_mistake() -> None:
    assert "ordering cycle" not in run("journalctl", "-b", "--no-pager").stdout
    told = run("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    assert UNIT not in told.stdout + told.stderr


def test_what_waits_for_the_network_waits_for_the_gateway() -> None:
    assert "network-online.target" in shown("Before").split()


def test_a_start_is_over_when_the_spec_is_applied() -> None:
    run("systemctl", "stop", UNIT)
    run(NVICTL, "down")
    assert fib() == []
    run("systemctl", "start", UNIT)
    assert up()
    assert fib()


@pytest.mark.parametrize("dataplane", ["kmod", "bpf"])
def test_a_saved_spec_is_applied(dataplane: str) -> None:
    """Under the unit's sandbox, with either dataplane."""
    more = f"  dataplane: {{ type: {dataplane} }}\n  forwards:\n    web: {{ ports: 443/tcp, to: 192.168.1.80 }}\n"
    SPEC.write_text(SPEC.read_text() + more)
    until(lambda: "192.168.1.80" in run("nft", "list", "table", "inet", "nvi").stdout, "the forward")
    until(as_the_spec_says, "the rest of the spec")
    until(up, "the unit in sync")
    kind = {"kmod": "nvi", "bpf": "ifb"}[dataplane]
    assert "nvi0" in run("ip", "-br", "link", "show", "type", kind).stdout


def test_a_reload_is_a_look_at_everything() -> None:
    pid = shown("MainPID")
    run("systemctl", "reload", UNIT)
    until(up, "the unit in sync")
    assert shown("MainPID") == pid


def test_a_stop_and_a_restart_keep_the_dataplane() -> None:
    before = dataplane()
    run("systemctl", "stop", UNIT)
    assert dataplane() == before
    run("systemctl", "start", UNIT)
    assert dataplane() == before
    run("systemctl", "restart", UNIT)
    assert dataplane() == before


def test_a_daemon_that_hangs_is_ended_by_the_watchdog_and_started_again_while_the_gateway_stays() -> None:
    """Stopped, it does not feed the watchdog: WatchdogSec of the unit goes by."""
    before, pid, restarts = dataplane(), shown("MainPID"), int(shown("NRestarts"))
    os.kill(int(pid), signal.SIGSTOP)
    until(lambda: "Watchdog timeout" in journal(), "the watchdog")
    assert dataplane() == before
    until(lambda: int(shown("NRestarts")) == restarts + 1, "systemd starts it again")
    until(up, "the unit in sync")
    assert shown("MainPID") != pid
    assert dataplane() == before


FORWARD = "  forwards:\n    web: { ports: 443/tcp, to: 192.168.1.80 }\n"
ON_TRIAL = """\
apiVersion: nvi-operator/v1
kind: Operator
spec:
  source: { directory: /etc/nvi-operator }
  confirm: { within: 60s }
"""


def has_timer() -> bool:
    return "nvi-operator-confirm-" in run("systemctl", "list-units", "--all", "--plain").stdout


def test_an_unconfirmed_apply_is_given_up_by_a_timer_of_systemd_while_no_operator_runs() -> None:
    before = dataplane()
    run("systemctl", "stop", UNIT)
    SPEC.write_text(SPEC.read_text() + FORWARD)
    run(NVICTL, "apply", "--confirm", "20s", str(SPEC.parent))
    assert "192.168.1.80" in dataplane()[1]
    assert has_timer()
    until(lambda: dataplane() == before, "the confirmed revision")


def test_what_the_service_had_on_trial_is_given_up_by_a_timer_once_it_is_stopped() -> None:
    operator = SPEC.with_name("operator.yaml")
    operator.write_text(ON_TRIAL)
    try:
        run("systemctl", "restart", UNIT)
        before = dataplane()
        SPEC.write_text(SPEC.read_text() + FORWARD)
        until(lambda: "192.168.1.80" in dataplane()[1] and has_timer(), "the forward, on trial")
        run("systemctl", "stop", UNIT)
        until(lambda: dataplane() == before, "the confirmed revision")
    finally:
        operator.unlink()


def test_a_restart_of_networkd_leaves_rules_and_routes_alone() -> None:
    """With the drop-in, and nothing that would heal them."""
    before = dataplane()
    run("systemctl", "stop", UNIT)
    run("systemctl", "restart", "systemd-networkd")
    configured()
    assert (sorted({*before[0]} - {*fib()}), sorted({*fib()} - {*before[0]})) == ([], []), "deleted, added"
    assert dataplane() == before


def test_without_the_drop_in_it_deletes_them_and_the_operator_puts_them_back() -> None:
    before = fib()
    DROP_IN.write_text("")
    run("systemctl", "stop", UNIT)
    run("systemctl", "restart", "systemd-networkd")
    until(lambda: fib() != before, "networkd deletes what it did not make")
    run("systemctl", "start", UNIT)
    run("systemctl", "restart", "systemd-networkd")
    configured()
    until(lambda: fib() == before, "the operator puts it back")


def configured() -> None:
    def done() -> bool:
        return (
            run("/lib/systemd/systemd-networkd-wait-online", "-i", "wan0", "-i", "lan0", check=False).returncode == 0
        )

    until(done, "networkd has configured both links")


def test_a_flush_by_nftables_service_is_healed() -> None:
    before = dataplane()
    run("systemctl", "restart", "nftables")
    until(lambda: run("nft", "-s", "list", "table", "inet", "nvi", check=False).stdout == before[1], "the table")


def test_a_start_with_a_wrong_spec_fails_says_where_and_leaves_the_dataplane() -> None:
    before = dataplane()
    right = SPEC.read_text()
    SPEC.write_text(right.replace("uplinks:", "uplink:"))
    run("systemctl", "stop", UNIT)
    assert run("systemctl", "start", UNIT, check=False).returncode == 1
    assert "gateway.yaml:9:3" in journal()
    assert "did you mean 'uplinks'?" in journal()
    assert dataplane() == before
    SPEC.write_text(right)
    until(up, "systemd starts it when the spec is right")
