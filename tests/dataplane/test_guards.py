"""What the device prevents: loops, untranslated packets, packets for interfaces that do not exist."""

from __future__ import annotations

from itertools import product

import pytest

from tests.dataplane.bench import (
    CLIENT,
    CLIENT6,
    DEVICE,
    SERVER,
    SERVER6,
    STAGE,
    Bench,
    InInterfaceSource,
    options,
)

pytestmark = pytest.mark.netns

# --------------------------------------------------------------------------- loops

WIPES = {
    "prerouting-early": ("prerouting", -460),
    "prerouting": ("prerouting", -140),
    "forward": ("forward", 0),
    "postrouting": ("postrouting", -140),
    "postrouting-last": ("postrouting", 2147483647),
}


def vandal(lab: Bench, hook: str, priority: int) -> None:
    chain = f"chain c {{ type filter hook {hook} priority {priority}; meta mark set 5; }}"
    lab.gateway.nft(f"table inet vandal {{ {chain}; }}")


@pytest.mark.parametrize("source", ["mark", "skb_iif"])
def test_a_rule_that_clears_marks_makes_no_loop(lab: Bench, source: InInterfaceSource) -> None:
    lab.table(source, "lan0", "wan0")
    lab.gateway.count("passes", f"ip daddr {SERVER}", priority=-470)
    for hide_hop, (hook, priority) in product((False, True), WIPES.values()):
        case = f"{hook} {priority}, hide_hop {hide_hop}"
        lab.load(options(source, hide_hop=hide_hop))
        vandal(lab, hook, priority)
        arrived = lab.client.pings(SERVER, seconds=0.3)
        lab.gateway.nft("delete table inet vandal")
        assert lab.gateway.packets("passes", reset=True)[0] <= 2, case
        counters = lab.counted()
        if hook == "prerouting":
            assert (arrived, counters) == (False, {"reinjected": 1, "loop": 1}), case
        elif arrived:
            assert counters == {"reinjected": 2}, case
        else:
            assert counters == {"no_stage_bit": 1}, case


# --------------------------------------------------------------------------- failing closed


def test_without_the_table_nothing_passes(gateway: Bench) -> None:
    gateway.server.count("untranslated", f"ip saddr {CLIENT}", f"ip6 saddr {CLIENT6}")
    for gone, far in product(("flush table inet nvi", "delete table inet nvi", "flush ruleset"), (SERVER, SERVER6)):
        assert gateway.client.pings(far)
        gateway.gateway.nft(gone)
        assert not gateway.client.pings(far, seconds=0.3), f"{gone}: {far}"
        assert gateway.counted() == {"reinjected": 2, "no_stage_bit": 1}, f"{gone}: {far}"
        gateway.gateway.nft("flush ruleset")
        gateway.table(gateway.source, "lan0", "wan0")
    assert gateway.server.packets("untranslated")[0] == 0


def test_other_frames_are_dropped(marked: Bench) -> None:
    for mark, ethertype, reason in (
        (0, 0x88B5, "no_stage_bit"),
        (STAGE, 0x88B5, "other"),
        (STAGE, 0x0806, "other"),
        (STAGE | 9999, 0x0800, "no_device"),
    ):
        marked.inject(DEVICE, ethertype, b"\x45" + bytes(59), mark)
        assert marked.counted() == {reason: 1}, f"mark {mark:#x}, ethertype {ethertype:#x}"


def test_a_truncated_packet_does_no_harm(marked: Bench) -> None:
    marked.load(options(hide_hop=True))
    for ethertype in (0x0800, 0x86DD):
        marked.inject(DEVICE, ethertype, b"\x45", STAGE | marked.port("lan0").ifindex)
        assert marked.client.pings(SERVER)
        counters = marked.counted()
        assert counters.pop("other", 0) + counters["reinjected"] == 3, f"{ethertype:#x}"
