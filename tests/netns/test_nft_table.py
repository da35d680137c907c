"""The driver of the table in a kernel that other processes use as well: what it sees, writes and leaves alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvi_operator.errors import ConcurrentChangeError, KernelError
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netns import entered
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.nft.ast import (
    Chain,
    Concat,
    Count,
    Element,
    Field,
    Hook,
    Lookup,
    Match,
    NamedSet,
    Nat,
    SetRef,
    Table,
    Verdict,
)
from nvi_operator.nft.wire.packed_elements import packed
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState, Ref
from nvi_operator.testing import Killed
from tests.unit.nft.test_batches import verdict_table

pytestmark = pytest.mark.netns

REF = Ref("nft-table", "inet nvi")
INSIDE = NamedSet("inside_4", ("ipv4_addr",), frozenset({(("10.0.0.0/8",), None)}), interval=True)
GUARD = Chain(
    "guard",
    Hook("filter", "postrouting", 300),
    ((Match(Field("ip saddr"), "==", SetRef("inside_4")), Verdict("drop")),),
)
DNAT = Chain("dstnat", Hook("nat", "prerouting", -110), ((Nat("dnat", 4, Lookup(Field("ip daddr"), SetRef("m"))),),))


def table(count: int, *, counters: Sequence[str] = (), size: int | None = 8192) -> Table:
    """So many addresses to translate, and the guard that all packets have to pass."""
    elements: frozenset[Element] = frozenset(((f"203.0.{n >> 8}.{n & 255}",), ("192.168.1.1",)) for n in range(count))
    named = packed(NamedSet("m", ("ipv4_addr",), elements, ("ipv4_addr",), size=size))
    return Table("nvi", frozenset(counters), frozenset({named, INSIDE}), frozenset({DNAT, GUARD}))


class Place:
    """A namespace with the operator's driver in it. `before_*` happen right before the kernel is told something."""

    def __init__(self, name: str, *, remember: bool = False, events: KernelEvents | None = None) -> None:
        self.name = name
        self.before_text: list[Callable[[], Any]] = []
        self.before_elements: list[Callable[[], Any]] = []
        self.listings = 0
        place = self

        class SlowNft(Nft):
            def apply(self, text: str) -> None:
                if place.before_text:
                    place.before_text.pop(0)()
                super().apply(text)

            def list_skeleton(self, name: str) -> list[dict[str, Any]]:
                place.listings += 1
                return super().list_skeleton(name)

        with entered(name):
            more: dict[str, Any] = {"reported": events.elements, "muted": events.without_nft} if events else {}
            self.driver = NftTableDriver("nvi", remember=remember, nft=SlowNft(), **more)
        self.wire = self.driver._wire
        send = self.wire.send

        def slow(*arguments: Any, **options: Any) -> None:
            if place.before_elements:
                place.before_elements.pop(0)()
            send(*arguments, **options)

        self.wire.send = slow  # type: ignore[method-assign]

    def nft(self, text: str) -> Callable[[], object]:
        """Another process's change, when it is called."""
        command = ["ip", "netns", "exec", self.name, "nft", text]
        return lambda: subprocess.run(command, check=True, capture_output=True)

    def look(self) -> Table | None:
        with entered(self.name):
            return next(iter(self.driver.observe(HostState())), None)

    def apply(self, after: Table | None, *, seen: Table | None = None) -> None:
        """From the table in the kernel, or from the one that the caller claims to have `seen`."""
        with entered(self.name):
            before = seen or self.look()
            self.driver.apply(Change(REF, Action.UPDATE, before, after))


@pytest.fixture
def place(name: str) -> Iterator[Place]:
    made = Place(name)
    yield made
    made.driver.close()


def killed() -> None:
    raise Killed


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


# --------------------------------------------------------------------------- killed in between


@pytest.mark.parametrize(
    ("texts", "sends"),
    [([killed], []), ([], [killed]), ([lambda: None, killed], [])],
    ids=["before-the-map", "before-its-elements", "before-the-rules"],
)
def test_killed_anywhere_in_a_large_first_apply_no_rule_asks_a_map_that_is_not_full(
    place: Place, texts: list[Callable[[], Any]], sends: list[Callable[[], Any]]
) -> None:
    place.before_text, place.before_elements = list(texts), list(sends)
    with pytest.raises(Killed):
        place.apply(table(5000))
    live = place.look()
    assert live is None or not live.chains
    place.apply(table(5000))
    assert place.look() == table(5000)


# --------------------------------------------------------------------------- another process at the same time

ELSEWHERE = "add table ip theirs"
HERE = "add element inet nvi m { 198.51.100.1 : 10.9.9.9 }"


@pytest.mark.parametrize("after", [table(4), table(4, counters=["n"])], ids=["elements", "text"])
def test_a_change_elsewhere_does_not_disturb(place: Place, after: Table) -> None:
    place.apply(table(3))
    before = place.look()
    place.nft(ELSEWHERE)()
    place.apply(after, seen=before)
    assert place.look() == after


@pytest.mark.parametrize("after", [table(4), table(4, counters=["n"])], ids=["elements", "text"])
def test_a_change_of_our_table_since_it_was_seen_is_never_overwritten_unseen(place: Place, after: Table) -> None:
    place.apply(table(3))
    before = place.look()
    place.nft(HERE)()
    changed = place.look()
    with pytest.raises(ConcurrentChangeError):
        place.apply(after, seen=before)
    assert place.look() == changed


def test_elements_that_others_change_at_the_very_moment_are_never_overwritten_unseen(place: Place) -> None:
    place.apply(table(3))
    place.before_elements = [place.nft(ELSEWHERE)]
    place.apply(table(4))
    assert place.look() == table(4)
    place.before_elements = [place.nft(HERE)]
    with pytest.raises(ConcurrentChangeError):
        place.apply(table(5))
    live = place.look()
    assert live
    assert {len(s.elements) for s in live.sets if s.name == "m"} == {5}


def test_text_that_others_change_at_the_very_moment_is_looked_at_again(place: Place) -> None:
    """libnftables cannot carry the generation: what came in the last moment is found out right after."""
    place.apply(table(3))
    place.before_text = [place.nft(ELSEWHERE)]
    place.apply(table(3, counters=["n"]))
    assert place.look() == table(3, counters=["n"])
    place.before_text = [place.nft(HERE)]
    with pytest.raises(ConcurrentChangeError):
        place.apply(replace(table(3), counters=frozenset({"n", "k"})))
    place.apply(table(3))
    assert place.look() == table(3)
