"""The driver of the table in a kernel that other processes use as well: what it sees, writes and leaves alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvi_operator.errors import KernelError
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netns import entered
from nvi_operator.nft.ast import (
    Chain,
    Concat,
    Count,
    Field,
    Hook,
    Match,
    NamedSet,
    SetRef,
    Table,
)
from nvi_operator.nft.wire.packed_elements import packed
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState
from tests.netns.nft_place import REF, Place, table
from tests.unit.nft.test_batches import verdict_table

pytestmark = pytest.mark.netns


# --------------------------------------------------------------------------- what is written and seen


def test_tables_large_and_small_become_one_another_and_are_seen_as_they_were_meant(place: Place) -> None:
    for desired in (
        table(3),
        table(5000),
        table(2, counters=["n"]),
        table(7000, counters=["n", "k"]),
        table(9000, size=32768),  # the map has room for 8192
        None,
        table(3000),
        None,
    ):
        place.apply(desired)
        assert place.look() == desired


@pytest.mark.parametrize(
    "named",
    [
        NamedSet(
            "s", ("ipv4_addr",), frozenset({((n,), None) for n in ("127.0.0.0/8", "10.0.0.0/8")}), interval=True
        ),
        packed(
            NamedSet(
                "s",
                ("ipv4_addr", "inet_proto"),
                frozenset({(("127.0.0.0/8", p), None) for p in ("udp", "icmp")}),
                interval=True,
            )
        ),
    ],
    ids=["prefixes", "concatenated"],
)
def test_no_packet_meets_a_rule_before_the_ranges_that_it_asks(place: Place, named: NamedSet) -> None:
    """The kernel looks ranges up in something that it makes after rules and elements are valid."""
    saddr = Field("ip saddr")
    key = saddr if len(named.key) == 1 else Concat((saddr, Field("meta l4proto")))
    rules = ((Match(key, "!=", SetRef("s")), Count("missed")),)
    chain = Chain("c", Hook("filter", "prerouting", -400), rules)
    desired = Table("nvi", frozenset({"missed"}), frozenset({named}), frozenset({chain}))
    missed = []
    with entered(place.name), flood():
        for _ in range(60):
            place.apply(desired)
            (counters,) = place.driver.counters(HostState()).values()
            missed.append(counters["missed"])
            place.apply(None)
    assert missed == [0] * 60


@contextmanager
def flood() -> Iterator[None]:
    """Packets on the loopback of the calling thread's namespace, as fast as they go, for ten seconds at most."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    send = (
        "import socket, time\n"
        "with socket.socket(type=socket.SOCK_DGRAM) as s:\n"
        "    end = time.monotonic() + 10\n"
        "    while time.monotonic() < end:\n"
        "        s.sendto(b'', ('127.0.0.1', 9))\n"
    )
    with subprocess.Popen([sys.executable, "-c", send]) as sender:
        try:
            yield
        finally:
            sender.kill()


def test_a_large_map_of_verdicts_finds_its_chains(place: Place) -> None:
    place.apply(verdict_table(3000))
    assert place.look() == verdict_table(3000)
    place.apply(verdict_table(10))
    assert place.look() == verdict_table(10)


def test_what_others_put_into_a_map_is_seen_and_taken_out(place: Place) -> None:
    place.apply(table(2000))
    place.nft("add element inet nvi m { 198.51.100.1 : 10.9.9.9 }")()
    place.nft("delete element inet nvi m { 203.0.0.7 }")()
    live = place.look()
    assert live
    (named,) = (s for s in live.sets if s.name == "m")
    assert (("198.51.100.1",), ("10.9.9.9",)) in named.elements
    assert len(named.elements) == 2000
    place.apply(table(2000))
    assert place.look() == table(2000)


def test_an_element_that_the_kernel_refuses_is_named(place: Place) -> None:
    place.apply(table(3))
    before = place.look()
    place.nft("add element inet nvi m { 203.0.0.3 : 10.9.9.9 }")()
    with entered(place.name), pytest.raises(KernelError, match=r"add element of m \{ 203.0.0.3 : 192.168.1.1 \}"):
        place.driver.check(Change(REF, Action.UPDATE, before, table(4)))


def test_a_check_changes_nothing(place: Place) -> None:
    with entered(place.name):
        place.driver.check(Change(REF, Action.CREATE, None, table(3000)))
        assert place.look() is None
        place.apply(table(3000))
        place.driver.check(Change(REF, Action.UPDATE, table(3000), table(2999)))
    assert place.look() == table(3000)


def test_while_nothing_changes_nothing_is_read(name: str) -> None:
    place = Place(name, remember=True)
    with place.driver:
        place.apply(table(3000))
        assert place.look() == table(3000)
        read = place.listings
        assert place.look() == table(3000)
        place.apply(table(2999))  # elements alone, and the kernel took them for what was seen
        assert place.look() == table(2999)
        assert place.listings == read
        place.nft("add table ip theirs")()
        assert place.look() == table(2999)
        assert place.listings == read + 1
        place.driver.invalidate()
        assert place.look() == table(2999)
        assert place.listings == read + 2


@pytest.fixture
def heard(name: str) -> Iterator[Place]:
    """A place that hears what the kernel reports, and has seen a table."""
    with entered(name), KernelEvents(["nvi"]) as events:
        made = Place(name, remember=True, events=events)
        with made.driver:
            made.apply(table(20))
            assert made.look() == table(20)
            yield made


def test_what_others_do_to_elements_is_known_without_reading_the_rest(heard: Place) -> None:
    read = heard.listings
    heard.nft("delete element inet nvi m { 203.0.0.7 }")()
    assert heard.look() == without(7)
    heard.nft("add element inet nvi m { 203.0.0.7 : 192.168.1.1 }; add table ip theirs")()
    assert heard.look() == table(20)
    heard.nft("add set ip theirs s { type ipv4_addr; }")()
    assert heard.look() == table(20)
    assert heard.listings == read


def test_what_others_do_besides_is_looked_at(heard: Place) -> None:
    for text in (
        "add rule inet nvi guard accept",
        "add element inet nvi inside_4 { 192.168.0.0/16 }",
        "flush chain inet nvi guard; add element inet nvi m { 192.0.2.1 : 192.168.1.9 }",
        "delete chain inet nvi guard",
    ):
        read = heard.listings
        heard.nft(text)()
        assert heard.look() == fresh(heard.name)
        assert heard.listings == read + 1


def test_after_a_change_that_was_not_heard_the_table_is_read(heard: Place) -> None:
    heard.apply(table(5000))
    read = heard.listings
    heard.nft("delete element inet nvi m { 203.0.0.7 }")()
    assert heard.look() == without(7, of=table(5000))
    assert heard.listings == read + 1, "the first that is heard again may not have been heard as a whole"
    heard.nft("delete element inet nvi m { 203.0.0.8 }")()
    assert heard.look() == without(7, 8, of=table(5000))
    assert heard.listings == read + 1


OTHERS_DO = [
    *(f"add element inet nvi m {{ 203.0.0.{n} : 192.168.1.1 }}" for n in range(3)),
    *(f"delete element inet nvi m {{ 203.0.0.{n} }}" for n in range(3)),
    "add element inet nvi m { 198.51.100.1 : 192.168.1.7 }",
    'add element inet nvi m { 198.51.100.2 comment "theirs" : 192.168.1.7 }',
    "delete element inet nvi m { 198.51.100.1 }",
    "flush map inet nvi m",
    "add element inet nvi inside_4 { 192.168.0.0/16 }",
    "add rule inet nvi guard counter",
    "add counter inet nvi n",
    "add table ip theirs { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; }",
    "delete table inet nvi",
]


@given(done=st.lists(st.lists(st.sampled_from(OTHERS_DO), min_size=1, max_size=3), max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_others_do_what_is_known_is_what_a_look_finds(heard: Place, done: list[list[str]]) -> None:
    heard.apply(table(3))
    for transaction in done:
        with suppress(subprocess.CalledProcessError):  # what cannot be done changes nothing
            heard.nft("; ".join(transaction))()
        assert heard.look() == fresh(heard.name)


def without(*numbers: int, of: Table | None = None) -> Table:
    whole = of or table(20)
    gone = {(f"203.0.{n >> 8}.{n & 255}",) for n in numbers}
    sets = (replace(s, elements=frozenset(e for e in s.elements if e[0] not in gone)) for s in whole.sets)
    return replace(whole, sets=frozenset(packed(named) for named in sets))


def fresh(name: str) -> Table | None:
    with entered(name), NftTableDriver("nvi") as driver:
        return next(iter(driver.observe(HostState())), None)


def test_a_map_grows_within_its_room_and_is_replaced_beyond_it(name: str) -> None:
    with Place(name, remember=True).driver as driver, entered(name):
        for desired in (table(3, size=4), table(4, size=8), table(5, size=8), table(8, size=16)):
            (before,) = list(driver.observe(HostState())) or [None]
            driver.apply(Change(REF, Action.UPDATE, before, desired))
            with NftTableDriver("nvi") as fresh:
                assert next(iter(fresh.observe(HostState()))) == desired


def test_only_a_change_of_many_elements_is_muted(name: str) -> None:
    heard: list[str] = []

    @contextmanager
    def muted() -> Iterator[None]:
        heard.append("away")
        yield
        heard.append("back")

    with entered(name), NftTableDriver("nvi", muted=muted) as driver:
        for before, after in ((None, table(3)), (table(3), table(4)), (table(4), table(5000)), (table(5000), None)):
            list(driver.observe(HostState()))
            driver.apply(Change(REF, Action.UPDATE, before, after))
            assert heard == (["away", "back"] if after is None or after == table(5000) else [])


def test_what_is_as_it_was_written_is_kept_once(place: Place) -> None:
    desired = table(3000)
    place.apply(desired)
    live = place.look()
    assert live
    maps = [next(s.elements for s in of.sets if s.name == "m") for of in (live, desired)]
    assert maps[0] is maps[1]
