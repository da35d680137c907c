"""The driver of the eBPF program: what it applies it observes, and it changes no more than it must."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from itertools import product
from threading import Event, Thread

import pytest

from bench.dataplane import asm
from nvi_operator.errors import CapabilityError, KernelError
from nvi_operator.kernel.bpf import objects, program, syscall
from nvi_operator.kernel.bpf.live import opened_maps, opened_program
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions, TcProgram
from tests.dataplane.bench import (
    DEVICE,
    SERVER,
    STAGE,
    TAG,
    Bench,
    InInterfaceSource,
    bench,
    options,
    working,
)
from tests.dataplane.netns import until
from tests.dataplane.talk import serve

pytestmark = pytest.mark.netns


@pytest.fixture
def lab() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(params=["mark", "skb_iif"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with working(request.param) as made:
        yield made


@pytest.fixture
def marked() -> Iterator[Bench]:
    with working("mark") as made:
        yield made


# --------------------------------------------------------------------------- contract

ODD = ProgramOptions("skb_iif", 1 << 16, 0xFFFF, True, flow_cache=True)
IN_INTERFACES: tuple[InInterfaceSource, ...] = ("mark", "skb_iif")
COMBINATIONS = [
    ProgramOptions(source, mask, tag, hide_hop)
    for source, (mask, tag), hide_hop in product(
        IN_INTERFACES, ((STAGE, 1), (1 << 30, 0xFFFF), (1, TAG)), (False, True)
    )
]
PORTS = frozenset(
    {InInterface(7, "02:00:00:00:00:07"), InInterface(8, None), InInterface(2**31 - 1, "ff:ff:ff:ff:ff:ff")}
)


@pytest.mark.parametrize("ports", [frozenset(), PORTS], ids=["no ports", "ports"])
def test_what_was_applied_is_observed(lab: Bench, ports: frozenset[InInterface]) -> None:
    """On a device without a program, and after another one."""
    assert lab.observe() is None
    for wanted in COMBINATIONS:
        for after in (TcProgram(DEVICE, wanted, ports), TcProgram(DEVICE, ODD, PORTS)):
            lab.apply(after)
            assert lab.observe() == after


def test_new_ports_leave_the_program_alone(lab: Bench) -> None:
    lab.apply(TcProgram(DEVICE, ODD, PORTS))
    before = lab.program_id()
    after = TcProgram(DEVICE, ODD, frozenset({InInterface(7, None), InInterface(9, "02:00:00:00:00:09")}))
    lab.apply(after)
    assert lab.observe() == after
    assert lab.program_id() == before


def test_delete_leaves_nothing(lab: Bench) -> None:
    lab.load(options())
    number = lab.program_id()
    assert number is not None
    with opened_maps(number) as maps:
        assert maps.keys() == {program.PORTS, program.COUNTERS, ".rodata"}
    lab.apply(None)
    assert lab.observe() is None
    assert lab.counters() == {}
    assert lab.filters() == []
    until(lambda: not program_exists(number), "the kernel lets the program go")
    lab.apply(None)


def program_exists(number: int) -> bool:
    try:
        with opened_program(number):
            return True
    except KernelError:
        return False


def test_another_program_at_our_place(lab: Bench) -> None:
    lab.foreign_filter(DEVICE, "egress")
    assert lab.observe() == TcProgram(DEVICE, None, frozenset())
    assert lab.counters() == {}
    lab.load(options())
    wanted = lab.live
    assert lab.observe() == wanted


def test_a_program_with_the_operators_name_alone_is_foreign(lab: Bench) -> None:
    lab.foreign_filter(DEVICE, "egress", name=program.NAME)
    assert lab.observe() == TcProgram(DEVICE, None, frozenset())


def loaded_at_our_place(lab: Bench, *, constants: dict[str, int], sizes: dict[str, int]) -> None:
    """The device's object, loaded in another way than the driver's."""

    def attach() -> None:
        with objects.load(program.OBJECT, constants=constants, sizes=sizes) as loaded:
            lab.attach_foreign(DEVICE, "egress", loaded.programs[program.NAME], program.NAME)

    lab.gateway.call(attach)


def test_the_operators_code_with_other_maps_is_foreign(lab: Bench) -> None:
    right = program.constants(options())
    loaded_at_our_place(lab, constants=right, sizes={})
    observed = lab.observe()
    assert observed is not None
    assert observed.options == options()
    loaded_at_our_place(lab, constants=right, sizes={program.PORTS: program.PORTS_MAP.entries + 1})
    assert lab.observe() == TcProgram(DEVICE, None, frozenset())


def test_the_program_of_another_build_is_replaced_and_its_counters_go_on(lab: Bench) -> None:
    """After an upgrade."""
    loaded_at_our_place(lab, constants={**program.constants(options()), objects.BUILD: 1}, sizes={})
    assert lab.observe() == TcProgram(DEVICE, None, frozenset())
    set_counters(lab, 7)
    lab.load(options())
    assert lab.observe() == lab.live
    assert set(lab.counters().values()) == {7 * syscall.possible_cpus()}


def test_the_program_of_an_earlier_version_is_replaced_and_its_counters_go_on(lab: Bench) -> None:
    """Up to version 0.1 the program had no constants; its name said its options."""

    def attach() -> None:
        counters = syscall.create_map(program.COUNTERS_MAP)
        try:
            code = asm.encode(
                [asm.load_map(asm.R1, "counters"), asm.mov_imm(asm.R0, 2), asm.leave()], {"counters": counters}
            )
            old = syscall.load_program(code, "nvi_m_1f8123")
            lab.attach_foreign(DEVICE, "egress", old, "nvi_m_1f8123")
            os.close(old)
        finally:
            os.close(counters)

    lab.gateway.call(attach)
    assert lab.observe() == TcProgram(DEVICE, None, frozenset())
    set_counters(lab, 3)
    lab.load(options())
    assert lab.observe() == lab.live
    assert [name for _, _, name in lab.filters()] == [program.NAME]
    assert set(lab.counters().values()) == {3 * syscall.possible_cpus()}


def set_counters(lab: Bench, value: int) -> None:
    """Every counter of the program on the device, on every CPU."""

    def write() -> None:
        place = lab.driver._place(DEVICE)
        assert place is not None
        assert place.number is not None
        with opened_maps(place.number) as maps:
            for index in range(len(program.REASONS)):
                values = struct.pack("=Q", value) * syscall.possible_cpus()
                syscall.update(maps[program.COUNTERS], struct.pack("=I", index), values)

    lab.gateway.call(write)


@pytest.mark.parametrize(("prio", "handle"), [(2, 1), (1, 2)])
def test_filters_elsewhere_are_left_alone(lab: Bench, prio: int, handle: int) -> None:
    lab.foreign_filter(DEVICE, "egress", prio, handle)
    assert lab.observe() is None
    lab.load(options())
    lab.load(options(hide_hop=True))
    lab.apply(None)
    assert lab.filters() == [(prio, handle, "foreign")]


def test_a_filter_of_another_kind_at_our_preference_is_replaced(lab: Bench) -> None:
    """The device belongs to the gateway: a foreign filter on it must not stop the gateway."""
    lab.gateway.run(f"tc qdisc add dev {DEVICE} clsact")
    lab.gateway.run(f"tc filter add dev {DEVICE} egress pref 1 u32 match u32 0 0")
    assert lab.observe() == TcProgram(DEVICE, None, frozenset())
    lab.load(options())
    assert lab.observe() == lab.live


def test_a_device_that_is_not_there(lab: Bench) -> None:
    lab.gateway.run(f"ip link del {DEVICE}")
    assert lab.observe() is None
    assert lab.counters() == {}
    lab.apply(None)
    with pytest.raises(KernelError, match=f"no interface {DEVICE}"):
        lab.load(options())


def test_too_many_ports_change_nothing(lab: Bench) -> None:
    lab.load(options())
    before = lab.live
    many = frozenset(InInterface(n, None) for n in range(1, program.PORTS_MAP.entries + 2))
    with pytest.raises(CapabilityError, match="4096"):
        lab.apply(TcProgram(DEVICE, options(), many))
    assert lab.observe() == before


# --------------------------------------------------------------------------- under traffic


def test_replacing_under_traffic_loses_nothing(gateway: Bench) -> None:
    assert gateway.live is not None
    assert gateway.live.options is not None
    source = gateway.live.options.source
    with serve(gateway.server, SERVER, socket.SOCK_DGRAM) as port:
        sock = gateway.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((SERVER, port))
        ended, answered = Event(), [0]

        def talk() -> None:
            while not ended.is_set():
                sock.send(b"%d" % answered[0])
                if sock.recv(100).split(b" ", 1)[1] != b"%d" % answered[0]:
                    return
                answered[0] += 1

        talker = Thread(target=talk)
        talker.start()
        for number in range(40):
            gateway.load(options(source, hide_hop=number % 2 == 0))
            goal = answered[0] + 20

            def goes_on(goal: int = goal) -> bool:
                return answered[0] >= goal or not talker.is_alive()

            until(goes_on, "traffic goes on")
        ended.set()
        talker.join()
        sock.close()
    assert answered[0] >= 800
    assert gateway.nonzero() == {"reinjected": 2 * answered[0]}


def test_a_new_mac_address_needs_a_new_entry_only(marked: Bench) -> None:
    before = marked.program_id()
    marked.gateway.run("ip link set lan0 address 02:00:00:00:00:07")
    assert not marked.client.pings(SERVER, seconds=0.3)  # PACKET_OTHERHOST in stage 2
    marked.load(options())
    assert marked.client.pings(SERVER)
    assert marked.program_id() == before
    assert marked.nonzero()["reinjected"] == 3
