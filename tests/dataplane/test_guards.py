"""What the device prevents: loops, untranslated packets, packets for interfaces that do not exist."""

from __future__ import annotations

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

FAMILIES = pytest.mark.parametrize("far", [SERVER, SERVER6], ids=["v4", "v6"])


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


@pytest.mark.parametrize("wipe", WIPES)
@pytest.mark.parametrize("hide_hop", [False, True], ids=["", "hide_hop"])
@pytest.mark.parametrize("source", ["mark", "skb_iif"])
def test_a_rule_that_clears_marks_makes_no_loop(
    lab: Bench, source: InInterfaceSource, wipe: str, hide_hop: bool
) -> None:
    lab.table(source, "lan0", "wan0")
    lab.load(options(source, hide_hop=hide_hop))
    lab.gateway.count("passes", f"ip daddr {SERVER}", priority=-470)
    hook, priority = WIPES[wipe]
    vandal(lab, hook, priority)
    arrived = lab.client.pings(SERVER, seconds=0.3)
    counters = lab.nonzero()
    assert lab.gateway.packets("passes")[0] <= 2
    assert counters.get("reinjected", 0) <= 2
    if hook == "prerouting":
        assert not arrived
        assert counters == {"reinjected": 1, "loop": 1}
    elif arrived:
        assert counters == {"reinjected": 2}
    else:
        assert counters == {"no_stage_bit": 1}


# --------------------------------------------------------------------------- failing closed


@FAMILIES
@pytest.mark.parametrize("gone", ["flush table inet nvi", "delete table inet nvi", "flush ruleset"])
def test_without_the_table_nothing_passes(gateway: Bench, far: str, gone: str) -> None:
    gateway.server.count("untranslated", f"ip saddr {CLIENT}", f"ip6 saddr {CLIENT6}")
    assert gateway.client.pings(far)
    gateway.gateway.nft(gone)
    assert not gateway.client.pings(far, seconds=0.3)
    assert gateway.nonzero() == {"reinjected": 2, "no_stage_bit": 1}
    assert gateway.server.packets("untranslated")[0] == 0


@pytest.mark.parametrize(
    ("mark", "ethertype", "reason"),
    [
        (0, 0x88B5, "no_stage_bit"),
        (STAGE, 0x88B5, "other"),
        (STAGE, 0x0806, "other"),
        (STAGE | 9999, 0x0800, "no_device"),
    ],
)
def test_other_frames_are_dropped(marked: Bench, mark: int, ethertype: int, reason: str) -> None:
    marked.inject(DEVICE, ethertype, b"\x45" + bytes(59), mark)
    assert marked.nonzero() == {reason: 1}


@pytest.mark.parametrize("ethertype", [0x0800, 0x86DD])
def test_a_truncated_packet_does_no_harm(marked: Bench, ethertype: int) -> None:
    marked.load(options(hide_hop=True))
    marked.inject(DEVICE, ethertype, b"\x45", STAGE | marked.port("lan0").ifindex)
    assert marked.client.pings(SERVER)
    counters = marked.nonzero()
    assert counters.pop("other", 0) + counters["reinjected"] == 3
