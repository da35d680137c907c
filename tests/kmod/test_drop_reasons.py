"""The reason that the kernel's tracepoint skb:kfree_skb gives for each drop, as dropwatch and perf show it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dataplane.bench import DEVICE, SERVER, STAGE, Bench

pytestmark = pytest.mark.netns

TRACEFS = Path("/sys/kernel/tracing")
IPV4 = b"\x45" + bytes(59)


@contextmanager
def traced() -> Iterator[Callable[[], list[str]]]:
    """The reasons of the drops since, in order; those in nvi only where the trace names the location (not in 6.1)."""
    if not (TRACEFS / "instances").exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], check=True)
    instance = TRACEFS / "instances/nvi-test"
    instance.mkdir()
    try:
        (instance / "events/skb/kfree_skb/enable").write_text("1")

        def reasons() -> list[str]:
            found = re.findall(r"location=(\S+(?: \[\w+\])?).* reason: (\w+)", (instance / "trace").read_text())
            return [reason for location, reason in found if "+" not in location or location.endswith("[nvi]")]

        yield reasons
    finally:
        (instance / "events/skb/kfree_skb/enable").write_text("0")
        instance.rmdir()


REASONS = {
    "no stage bit": (0, 0x0800, IPV4, "no_stage_bit", "NETFILTER_DROP"),
    "no device": (STAGE | 9999, 0x0800, IPV4, "no_device", "DEV_READY"),
    "another protocol": (STAGE, 0x88B5, IPV4, "other", "UNHANDLED_PROTO"),
    "IPv6 as IPv4": (STAGE, 0x0800, b"\x65" + bytes(59), "other", "IP_INHDR"),
    "IPv4 as IPv6": (STAGE, 0x86DD, IPV4, "other", "IP_INHDR"),
    "truncated": (STAGE, 0x0800, b"\x45", "other", "HDR_TRUNC"),
}


def test_the_kernel_names_the_reason(translating: Bench) -> None:
    for case, (mark, ethertype, packet, counter, reason) in REASONS.items():
        with traced() as reasons:
            translating.inject(DEVICE, ethertype, packet, mark)
            assert reasons().count(reason) == 1, case
        assert translating.counted() == {counter: 1}, case


def test_an_interface_that_is_down_is_not_ready(translating: Bench) -> None:
    mark = STAGE | translating.port("lan0").ifindex
    translating.gateway.run("ip link set lan0 down")
    with traced() as reasons:
        translating.inject(DEVICE, 0x0800, IPV4, mark)
        assert reasons().count("DEV_READY") == 1
    assert translating.nonzero() == {"device_down": 1}


def test_a_loop_has_the_reason_of_loops(translating: Bench) -> None:
    """Linux 6.1 and 6.12 have no reason for loops: kmod/compat.h."""
    wipe = "chain c { type filter hook prerouting priority -140; meta mark set 5; }"
    translating.gateway.nft(f"table inet vandal {{ {wipe}; }}")
    with traced() as reasons:
        assert not translating.client.pings(SERVER, seconds=0.3)
        known = (TRACEFS / "events/skb/kfree_skb/format").read_text()
        assert reasons().count("RECURSION_LIMIT" if "RECURSION_LIMIT" in known else "NETFILTER_DROP") == 1
    assert translating.nonzero() == {"reinjected": 1, "loop": 1}
