"""What only the eBPF program has: a tag that tc can take away, and a list of interfaces that may be entered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.dataplane import asm
from bench.dataplane.asm import R0, R1, R2, Label
from nvi_operator.kinds.tc_program import TcProgram
from tests.dataplane.bench import CLIENT, DEVICE, SERVER, TAG, WAN, Bench, InInterfaceSource, options, working
from tests.dataplane.test_guards import WIPES, vandal
from tests.lab.dataplanes import IN_INTERFACES

pytestmark = pytest.mark.netns


@pytest.fixture(params=IN_INTERFACES)
def gateway(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with working(request.param) as made:
        yield made


@pytest.fixture
def marked() -> Iterator[Bench]:
    with working("mark") as made:
        yield made


@pytest.mark.parametrize("hide_hop", [False, True], ids=["", "hide_hop"])
def test_the_mark_hook_holds_where_tc_takes_the_tag_away(marked: Bench, hide_hop: bool) -> None:
    """A filter at tc ingress that says "ok" writes its class into tc_index (net/core/dev.c, tc_run()).

    With a rule that wipes marks as well that would loop; what the mark hook refuses as untracked does not.
    """
    marked.load(options(hide_hop=hide_hop))
    marked.gateway.count("passes", f"ip daddr {SERVER}", priority=-470)
    marked.gateway.nft(f"insert rule inet nvi mark_hook oifname {DEVICE} ct state untracked drop")
    marked.foreign_filter("lan0", "ingress")
    assert marked.client.pings(SERVER)
    vandal(marked, *WIPES["prerouting"])
    assert not marked.client.pings(SERVER, seconds=0.3)
    assert marked.gateway.packets("passes")[0] == 4
    assert marked.nonzero() == {"reinjected": 3}


def test_a_class_that_equals_the_tag_stops_everything(marked: Bench) -> None:
    """So tags had better be none that people use as class numbers."""
    marked.foreign_filter("lan0", "ingress", classid=0x10000 | TAG)
    assert not marked.client.pings(SERVER, seconds=0.3)
    assert marked.nonzero() == {"loop": 1}


# --------------------------------------------------------------------------- beside the flow cache

SLOT = 0x4005  # what the cache's program at ingress may have left in tc_index
TC_INDEX = 44  # struct __sk_buff


@pytest.mark.parametrize("source", IN_INTERFACES)
def test_the_highest_bit_of_tc_index_ends_loops(source: InInterfaceSource) -> None:
    with working(source) as gateway:
        gateway.load(options(source, flow_cache=True))
        assert gateway.client.pings(SERVER)
        gateway.gateway.count("passes", f"ip daddr {SERVER}", priority=-470)
        for hook, priority in WIPES.values():
            vandal(gateway, hook, priority)
            gateway.client.pings(SERVER, seconds=0.3)
            gateway.gateway.nft("delete table inet vandal")
            assert gateway.gateway.packets("passes", reset=True)[0] <= 2, f"{hook} {priority}"
            assert gateway.counted().get("loop", 0) == (hook == "prerouting"), f"{hook} {priority}"


@pytest.mark.parametrize(("flow_cache", "leaves"), [(True, 0x8000 | SLOT), (False, TAG)])
def test_what_the_cache_keeps_in_tc_index_comes_through_both_passes(
    marked: Bench, flow_cache: bool, leaves: int
) -> None:
    marked.load(options(flow_cache=flow_cache))
    assert marked.client.pings(SERVER)  # the neighbours are known
    unspecified = -1 & 0xFFFFFFFF
    on_its_first_pass = [
        asm.load(4, R2, R1, TC_INDEX),
        asm.jump_unless(R2, 0, "end"),
        asm.mov_imm(R2, SLOT),
        asm.store(4, R1, TC_INDEX, R2),
        Label("end"),
        asm.mov_imm(R0, unspecified),
        asm.leave(),
    ]
    unless_it_is = [
        asm.load(4, R2, R1, TC_INDEX),
        asm.mov_imm(R0, unspecified),
        asm.jump_if(R2, leaves, "end"),
        asm.mov_imm(R0, 2),  # TC_ACT_SHOT
        Label("end"),
        asm.leave(),
    ]
    marked.foreign_filter("lan0", "ingress", code=asm.encode(on_its_first_pass, {}))
    marked.foreign_filter("wan0", "egress", code=asm.encode(unless_it_is, {}))
    marked.server.count("arrived", f"ip saddr {WAN}")
    marked.client.pings(SERVER, seconds=0.3)
    assert marked.server.packets("arrived")[0] == 1


# --------------------------------------------------------------------------- what is not there


def test_without_a_program_nothing_passes(marked: Bench) -> None:
    marked.server.count("anything", f"ip saddr {{ {CLIENT}, {WAN} }}")
    assert marked.client.pings(SERVER)
    before = marked.server.packets("anything")
    marked.apply(None)
    assert not marked.client.pings(SERVER, seconds=0.3)
    assert marked.server.packets("anything") == before


def test_an_interface_that_is_not_declared_cannot_be_entered(gateway: Bench) -> None:
    assert gateway.live is not None
    gateway.apply(TcProgram(DEVICE, gateway.live.options, frozenset({gateway.port("lan0")})))
    assert not gateway.client.pings(SERVER, seconds=0.3)
    assert gateway.nonzero() == {"reinjected": 1, "no_device": 1}  # the answer came by wan0
