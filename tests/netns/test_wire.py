"""Elements in the kernel's own form: nft lists what the operator writes, and the other way round, byte for byte."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvi_operator.errors import ConcurrentChangeError
from nvi_operator.kernel.netlink.nfnetlink import ElementError, Nfnetlink
from nvi_operator.kernel.netns import entered
from nvi_operator.nft.ast import Data, Element, NamedSet, Parts, Verdict
from nvi_operator.nft.listing import parse_table
from nvi_operator.nft.text import elements_text, set_definition
from nvi_operator.nft.wire.codec import Codec, codec_of
from nvi_operator.nft.wire.codec import elements as elements_in
from nvi_operator.nft.wire.intervals import intervals_of
from nvi_operator.nft.wire.messages import ElementChange
from tests.contract.sets import netmap, ports, prefix_map, prefix_set

pytestmark = pytest.mark.netns

PORT_MAP = (("ipv4_addr", "inet_proto", "inet_service"), ("ipv4_addr", "inet_service"))
OTHERS = ("table inet nvi", "chain inet nvi to_red", "chain inet nvi from_blue", "chain inet nvi aside")
MANY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Place:
    """A namespace with the table `inet nvi` in it, seen by nft and by the operator."""

    def __init__(self, name: str) -> None:
        self.name = name
        with entered(name):
            self.wire = Nfnetlink()
        self.nft("-f", "-", text="".join(f"add {what}\n" for what in OTHERS))

    def nft(self, *arguments: str, text: str = "") -> str:
        command = ["ip", "netns", "exec", self.name, "nft", *arguments]
        return subprocess.run(command, input=text, text=True, check=True, capture_output=True).stdout

    def make(self, named: NamedSet) -> Codec:
        """The set, empty."""
        self.nft("-f", "-", text=_created(named))
        found = codec_of(named)
        assert found
        return found

    def write(self, verb: str, name: str, elements: Iterable[bytes], **options: object) -> None:
        self.wire.send("nvi", [ElementChange(verb, name, list(elements))], **options)  # type: ignore[arg-type]

    def listed(self, name: str) -> frozenset[Element]:
        """What nft says is in it."""
        table = parse_table(json.loads(self.nft("-j", "list table inet nvi"))["nftables"], "nvi", lambda _: None)
        assert table
        (found,) = (s for s in table.sets if s.name == name)
        return found.elements


def _created(named: NamedSet) -> str:
    what = f"{'map' if named.values else 'set'} inet nvi {named.name}"
    add = f"add {what} {{ {set_definition(named)} }}"
    return f"{add}; delete {what}; {add}"


def _elements_of(named: NamedSet) -> str:
    return elements_text(named.elements, named.key, named.values)


@pytest.fixture
def place(name: str) -> Iterator[Place]:
    made = Place(name)
    yield made
    made.wire.close()


# --------------------------------------------------------------------------- any element of any type

NUMBER = {4: st.integers(0, 2**32 - 1), 6: st.integers(0, 2**128 - 1)}


def _address(family: int) -> st.SearchStrategy[str]:
    return NUMBER[family].map(lambda n: str(IPv4Address(n) if family == 4 else IPv6Address(n)))


VALUES: dict[str, st.SearchStrategy[int | str]] = {
    "ipv4_addr": _address(4),
    "ipv6_addr": _address(6),
    "inet_proto": st.sampled_from(["tcp", "udp", "icmp", "icmpv6", "gre", "esp", "ah", "sctp", "dccp", "udplite"]),
    "inet_service": st.integers(0, 65535),
    "mark": st.integers(0, 2**32 - 1),
    "iface_index": st.integers(1000, 2**31 - 1),
}
VERDICTS = st.sampled_from(
    [Verdict("accept"), Verdict("drop"), Verdict("return"), Verdict("jump", "to_red"), Verdict("jump", "from_blue")]
)


def parts(types: tuple[str, ...]) -> st.SearchStrategy[Parts]:
    return st.tuples(*(VALUES[type_] for type_ in types))


def elements(key: tuple[str, ...], values: tuple[str, ...]) -> st.SearchStrategy[frozenset[Element]]:
    data: st.SearchStrategy[Data] = VERDICTS if values == ("verdict",) else parts(values) if values else st.none()
    return st.dictionaries(parts(key), data, max_size=12).map(lambda found: frozenset(found.items()))


SHAPES = [
    PORT_MAP,
    (("ipv6_addr", "inet_proto", "inet_service"), ("ipv6_addr", "inet_service")),
    (("ipv4_addr",), ("ipv4_addr",)),
    (("ipv6_addr",), ("ipv6_addr",)),
    (("ipv4_addr",), ()),
    (("inet_proto", "inet_service"), ()),
    (("inet_service",), ()),
    (("inet_proto",), ("inet_service",)),
    (("iface_index",), ("mark",)),
    (("mark", "ipv6_addr", "iface_index"), ("mark",)),
    (("ipv4_addr",), ("verdict",)),
    (("ipv6_addr", "inet_proto", "inet_service"), ("verdict",)),
]


@pytest.mark.parametrize(("key", "values"), SHAPES, ids=[" . ".join(k) + " : " + " . ".join(v) for k, v in SHAPES])
def test_nft_lists_what_the_operator_writes_and_the_other_way_round(
    place: Place, key: tuple[str, ...], values: tuple[str, ...]
) -> None:
    named = NamedSet("s", key, frozenset(), values)

    @MANY
    @given(first=elements(key, values), second=elements(key, values))
    def both(first: frozenset[Element], second: frozenset[Element]) -> None:
        there_and_back(place, named, first, second)

    both()


def there_and_back(place: Place, named: NamedSet, first: frozenset[Element], second: frozenset[Element]) -> None:
    wire = place.make(named)
    packed = wire.pack(first)
    place.write("add", "s", packed)
    assert place.listed("s") == first
    assert place.wire.elements("nvi", "s", elements_in) == packed
    place.write("delete", "s", packed)
    assert place.listed("s") == frozenset()
    if second:
        place.nft("-f", "-", text=f"add element inet nvi s {{ {_elements_of(replace(named, elements=second))} }}")
    dumped = place.wire.elements("nvi", "s", wire.split)
    assert {wire.unpack(raw) for raw in dumped} == second
    assert wire.pack(second) == dumped


def ranged(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[Element]]:
    """One range for each address and protocol, so that none overlap."""
    keys = st.dictionaries(
        st.tuples(_address(4), VALUES["inet_proto"]),
        st.tuples(ports(), VERDICTS if values == ("verdict",) else parts(values)),
        max_size=8,
    )
    return keys.map(lambda found: frozenset(((*key, port), data) for key, (port, data) in found.items()))


@pytest.mark.parametrize("values", [("ipv4_addr",), ("verdict",), ("ipv4_addr", "inet_service")], ids=str)
def test_ranges_within_a_concatenation_go_the_same_way(place: Place, values: tuple[str, ...]) -> None:
    named = NamedSet("s", PORT_MAP[0], frozenset(), values, interval=True)

    @MANY
    @given(first=ranged(values), second=ranged(values))
    def both(first: frozenset[Element], second: frozenset[Element]) -> None:
        there_and_back(place, named, first, second)

    both()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["set", "mark", "verdict", "netmap"])
def test_prefixes_that_nft_writes_we_read(place: Place, family: int, kind: str) -> None:
    strategies = {
        "set": prefix_set("s", family),
        "mark": prefix_map("s", family, to="mark"),
        "verdict": prefix_map("s", family, to="verdict"),
        "netmap": netmap("s", family),
    }

    @MANY
    @given(named=strategies[kind])
    def read(named: NamedSet) -> None:
        place.nft("-f", "-", text=_created(named))
        if named.elements:
            place.nft("-f", "-", text=f"add element inet nvi s {{ {_elements_of(named)} }}")
        intervals = intervals_of(named)
        assert intervals
        assert intervals.elements(place.wire.elements("nvi", "s", elements_in)) == named.elements

    read()


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0/0",
        "0.0.0.0/1, 192.0.2.0/24",
        "255.255.255.255, 0.0.0.0",
        "10.0.0.0/8, 11.0.0.0/8",
        "10.0.0.1-10.0.0.6, 10.0.0.7",
        "128.0.0.0-255.255.255.255",
    ],
)
def test_intervals_at_the_ends_of_all_addresses_and_next_to_each_other(place: Place, text: str) -> None:
    named = NamedSet("s", ("ipv4_addr",), frozenset(), interval=True)
    place.nft("-f", "-", text=f"{_created(named)}; add element inet nvi s {{ {text} }}")
    intervals = intervals_of(named)
    assert intervals
    assert intervals.elements(place.wire.elements("nvi", "s", elements_in)) == place.listed("s")


# --------------------------------------------------------------------------- many, and what goes wrong


def forwards(count: int) -> frozenset[Element]:
    return frozenset(
        ((f"203.0.{n >> 8}.{n & 255}", "tcp", 443), (f"10.0.{n >> 8}.{n & 255}", 8443)) for n in range(count)
    )


@pytest.fixture
def wire(place: Place) -> Codec:
    return place.make(NamedSet("s", *PORT_MAP[:1], frozenset(), PORT_MAP[1], size=32768))


def test_twenty_thousand_elements_are_one_transaction_of_several_messages(place: Place, wire: Codec) -> None:
    packed = wire.pack(forwards(20_000))
    before = place.wire.generation()
    place.write("add", "s", packed)
    assert place.wire.generation() == before + 1
    assert place.wire.elements("nvi", "s", wire.split) == packed
    half = wire.pack(forwards(10_000))
    place.write("delete", "s", packed - half)
    assert place.wire.elements("nvi", "s", wire.split) == half
    assert place.listed("s") == forwards(10_000)


def test_one_that_is_there_already_is_named_and_nothing_of_the_batch_stays(place: Place, wire: Codec) -> None:
    (there,) = wire.pack([(("203.0.9.9", "tcp", 443), ("192.168.1.1", 1))])
    place.write("add", "s", [there])
    with pytest.raises(ElementError) as refused:
        place.write("add", "s", sorted(wire.pack(forwards(5000))))
    assert refused.value.errno == errno.EEXIST
    assert refused.value.element
    assert wire.unpack(refused.value.element) == (("203.0.9.9", "tcp", 443), ("10.0.9.9", 8443))
    assert place.wire.elements("nvi", "s", wire.split) == {there}


def test_one_that_is_not_there_cannot_be_deleted_and_is_named(place: Place, wire: Codec) -> None:
    packed = sorted(wire.pack(forwards(3)))
    place.write("add", "s", packed[:2])
    with pytest.raises(ElementError) as refused:
        place.write("delete", "s", packed)
    assert (refused.value.errno, refused.value.element) == (errno.ENOENT, packed[2])
    assert place.wire.elements("nvi", "s", wire.split) == set(packed[:2])


def test_a_set_that_is_not_there(place: Place, wire: Codec) -> None:
    with pytest.raises(ElementError) as refused:
        place.write("add", "other", wire.pack(forwards(1)))
    assert refused.value.errno == errno.ENOENT
    assert refused.value.change
    assert refused.value.change.set == "other"
    with pytest.raises(FileNotFoundError):
        place.wire.elements("nvi", "other", wire.split)


def test_a_full_set_takes_no_more(place: Place) -> None:
    wire = place.make(NamedSet("s", ("ipv4_addr",), frozenset(), size=4))
    packed = wire.pack(((f"10.0.0.{n}",), None) for n in range(5))
    with pytest.raises(ElementError) as refused:
        place.write("add", "s", packed)
    assert refused.value.errno == errno.ENFILE
    assert place.listed("s") == frozenset()


def test_five_thousand_errors_are_one(place: Place, wire: Codec) -> None:
    """More than the socket holds: the kernel says ENOBUFS, and the batch failed."""
    changes = [ElementChange("delete", "s", [raw]) for raw in wire.pack(forwards(20_000))]
    with pytest.raises(ElementError) as refused:
        place.wire.send("nvi", changes)
    assert refused.value.errno in (errno.ENOENT, errno.ENOBUFS)
    place.write("add", "s", wire.pack(forwards(1)))


def test_a_batch_for_another_generation_is_refused(place: Place, wire: Codec) -> None:
    seen = place.wire.generation()
    place.nft("add table ip second")
    with pytest.raises(ConcurrentChangeError):
        place.write("add", "s", wire.pack(forwards(3)), generation=seen)
    assert place.listed("s") == frozenset()
    place.write("add", "s", wire.pack(forwards(3)), generation=seen + 1)
    assert place.listed("s") == forwards(3)


def test_a_set_that_changes_while_it_is_read_is_read_again(place: Place, wire: Codec) -> None:
    """The kernel gives 32 KiB at a time, and each piece says of which generation it is."""
    place.write("add", "s", wire.pack(forwards(20_000)))
    late = wire.pack([(("10.0.0.1", "tcp", 22), ("10.0.0.2", 22))])
    pieces: list[int] = []
    with entered(place.name), Nfnetlink() as other:

        def split(payload: bytes) -> Iterable[bytes]:
            if not pieces:
                other.send("nvi", [ElementChange("add", "s", list(late))])
            pieces.append(len(payload))
            return wire.split(payload)

        assert place.wire.elements("nvi", "s", split) == wire.pack(forwards(20_000)) | late
    assert sum(pieces) > 1.9 * sum(map(len, wire.pack(forwards(20_000))))


def test_a_check_finds_what_an_apply_would_and_changes_nothing(place: Place, wire: Codec) -> None:
    seen = place.wire.generation()
    place.write("add", "s", wire.pack(forwards(3000)), commit=False)
    with pytest.raises(ElementError):
        place.write("delete", "s", wire.pack(forwards(3)), commit=False)
    assert (place.wire.generation(), place.listed("s")) == (seen, frozenset())


def test_a_comment_does_not_hide_an_element(place: Place, wire: Codec) -> None:
    place.nft('add element inet nvi s { 10.0.0.1 . tcp . 22 comment "second" : 10.0.0.2 . 22 }')
    (raw,) = place.wire.elements("nvi", "s", wire.split)
    assert wire.unpack(raw) == (("10.0.0.1", "tcp", 22), ("10.0.0.2", 22))
    place.write("delete", "s", [raw])
    assert place.listed("s") == frozenset()


def test_the_tables_are_those_that_nft_lists(place: Place) -> None:
    for family in ("ip", "ip6", "inet", "arp", "bridge", "netdev"):
        place.nft("add", "table", family, f"other-{family}".replace("-", "_"))
    listed = [line.split()[1:] for line in place.nft("list", "tables").splitlines()]
    assert sorted([t.family, t.name] for t in place.wire.tables()) == sorted(listed)


def test_the_flags_of_a_table_are_read_as_the_kernel_has_them(place: Place) -> None:
    place.nft("add table ip awake; add table ip sleeping { flags dormant; }")
    flags = {t.name: (t.flags, t.owner) for t in place.wire.tables() if t.family == "ip"}
    assert flags == {"awake": (frozenset(), None), "sleeping": (frozenset({"dormant"}), None)}
