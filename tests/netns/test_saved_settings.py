"""Whatever becomes of the record of settings: commands work, `down` ends closed, and nothing foreign is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nvi_operator.kernel.netns import cookie
from nvi_operator.plan.change import Change
from nvi_operator.store.directory import RUN
from nvi_operator.testing import Killed
from tests.examples import ALL
from tests.lab import GatewayHost, Site
from tests.netns.scenarios import spec
from tests.netns.test_fail_closed import Operator

pytestmark = pytest.mark.netns

FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


@pytest.fixture
def record(site: Site) -> Path:
    return RUN / f"settings-{site.gateway.call(cookie)}.json"


def without_forwarding(path: Path) -> None:
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([entry for entry in entries if entry[1] not in FORWARDING or entry[0] != "sysctl"]))


def strange(path: Path) -> None:
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([*entries, ["sysctl", "kernel/core_pattern", "1"]]))


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "written by two": lambda path: path.write_bytes(path.read_bytes() + b'"0"]]'),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "without forwarding": without_forwarding,
    "with a strange entry": strange,
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("between", [[], ["plan", "apply"]], ids=["at once", "after another apply"])
def test_down_ends_closed_whatever_was_lost(
    site: Site, gateway: GatewayHost, record: Path, lose: Callable[[Path], object], between: list[str]
) -> None:
    before, dump = gateway.foreign(), CORE_PATTERN.read_text()
    gateway.apply(spec())
    lose(record)
    warnings = ""
    for command in between:
        warnings += gateway.nvictl(command, gateway.spec(spec())).stderr
    warnings += gateway.down().stderr
    assert gateway.owned() == []
    assert [site.gateway.read(path) for path in FORWARDING] == ["0", "0"]
    if "without" not in warnings:
        assert "warning: " in warnings
    assert CORE_PATTERN.read_text() == dump
    after = gateway.foreign()
    after["tc"] = before["tc"]  # an empty clsact qdisc may be foreign
    assert after == before, "the laboratory's host had the kernel's defaults"
    assert not record.exists()
    assert "warning" not in gateway.apply(spec()).stderr


def test_an_interface_that_appeared_meanwhile_forwards_nothing_afterwards(site: Site, gateway: GatewayHost) -> None:
    """The kernel has given it the value that the gateway set for all."""
    text = spec().replace("  interfaces:\n", "  interfaces:\n    dmz0: { networks: [10.9.0.0/24] }\n")
    gateway.apply(text)
    site.gateway.ip("link add dmz0 type bridge")
    assert site.gateway.read("net/ipv4/conf/dmz0/forwarding") == "1"
    gateway.apply(text)
    gateway.down()
    assert site.gateway.read("net/ipv4/conf/dmz0/forwarding") == "0"


def test_an_interface_that_leaves_the_spec_forwards_as_one_that_never_was_in_it(
    site: Site, gateway: GatewayHost
) -> None:
    site.gateway.ip("link add dmz0 type bridge", "link set dev dmz0 up")
    dmz = site.lab.host("dmz")
    site.lab.link(site.gateway, "port0", dmz, "eth0")
    site.gateway.ip("link set dev port0 master dmz0", "addr add 203.0.113.17/28 dev dmz0")
    dmz.ip("addr add 203.0.113.20/28 dev eth0", "route add default via 203.0.113.17")
    gateway.apply(spec().replace("  interfaces:\n", "  interfaces:\n    dmz0: { networks: [203.0.113.16/28] }\n"))
    gateway.apply(spec())
    site.far.serve(443)
    assert dmz.connect(site.far.address, 443).seen == "203.0.113.20"
    gateway.down()
    assert site.gateway.read("net/ipv4/conf/dmz0/forwarding") == "0"


def test_a_host_that_forwarded_before_us_does_so_after_a_kill_at_any_step(site: Site, gateway: GatewayHost) -> None:
    for path in FORWARDING:
        site.gateway.write(path, "1")
    operator = Operator(site)
    steps = operator.apply(spec())
    operator.apply(None)
    for text in (spec(), None):
        for number in range(1, steps, 7 if ALL else 14):
            operator.apply(spec() if text is None else None)
            _killed_at(number, lambda on_step, text=text: operator.apply(text, on_step))
            gateway.down()
            assert [site.gateway.read(path) for path in FORWARDING] == ["1", "1"], number
    assert gateway.owned() == []


def _killed_at(number: int, apply: Callable[[Callable[[Change], None]], object]) -> None:
    seen = 0

    def step(change: Change) -> None:
        nonlocal seen
        seen += 1
        if seen > number:
            raise Killed

    with pytest.raises(Killed):
        apply(step)


def test_a_full_disk_is_refused_before_anything_is_changed(
    site: Site, gateway: GatewayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nvi_operator.errors import KernelError
    from nvi_operator.store import saved_settings

    def full(path: Path, data: bytes, *, lasting: bool) -> None:
        raise OSError(28, "No space left on device")

    before = gateway.foreign()
    monkeypatch.setattr(saved_settings, "write_file", full)
    with pytest.raises(KernelError, match="No space left"):
        Operator(site).apply(spec())
    assert gateway.foreign() == before
    assert gateway.owned() == []
