"""Elements in the kernel's form: the bytes themselves, and a set of them that behaves like any other set."""

from __future__ import annotations

import struct
import sys
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.nft.ast import Element, Interval, NamedSet, Verdict
from nvi_operator.nft.wire.attributes import WireError, attribute
from nvi_operator.nft.wire.codec import Codec, codec_for, codec_of
from nvi_operator.nft.wire.intervals import intervals_of
from nvi_operator.nft.wire.messages import ElementChange, element_batch
from nvi_operator.nft.wire.packed_elements import PackedElements, packed

PORTS = ("ipv4_addr", "inet_proto", "inet_service")
WEB: Element = (("203.0.113.2", "tcp", 443), ("192.168.1.80", 8443))
MAIL: Element = (("203.0.113.2", "tcp", 25), ("192.168.1.81", 25))


def made(key: tuple[str, ...], values: tuple[str, ...] = (), *, interval: bool = False) -> Codec:
    found = codec_for(key, values, interval=interval)
    assert found
    return found


PORT_MAP = made(PORTS, ("ipv4_addr", "inet_service"))


def one(of: Codec, element: Element) -> bytes:
    (raw,) = of.pack([element])
    return raw


# --------------------------------------------------------------------------- bytes


@pytest.mark.skipif(sys.byteorder != "little", reason="the bytes are those of a little-endian machine")
def test_a_port_forward_is_these_forty_bytes() -> None:
    assert one(PORT_MAP, WEB).hex(" ", 4) == (
        "28000100 14000100 10000100 cb007102 06000000 01bb0000"  # element, key: address, protocol, port
        " 10000200 0c000100 c0a80150 20fb0000"  # value: address, port
    )
    assert PORT_MAP.size == 40


def test_addresses_and_ports_lie_in_the_networks_order_marks_and_numbers_in_the_machines() -> None:
    raw = one(made(("iface_index",), ("mark",)), ((7,), (0x80000007,)))
    assert struct.pack("=I", 7) in raw
    assert raw.endswith(struct.pack("=I", 0x80000007))
    assert one(made(("inet_service",)), ((443,), None)).endswith(b"\x06\0\x01\0\x01\xbb\0\0"[4:])


def test_a_field_of_its_own_has_its_own_size_and_is_padded_behind() -> None:
    raw = one(made(("inet_proto",), ("inet_service",)), (("udp",), (53,)))
    assert struct.pack("=HH", 5, 1) + b"\x11\0\0\0" in raw
    assert struct.pack("=HH", 6, 1) + b"\0\x35\0\0" in raw


def test_a_verdict_names_its_chain() -> None:
    raw = one(made(("ipv4_addr",), ("verdict",)), (("203.0.113.2",), Verdict("jump", "to_red")))
    assert struct.pack("!i", -3) in raw
    assert attribute(2, b"to_red\0") in raw


EVERY: list[tuple[Codec, Element]] = [
    (PORT_MAP, WEB),
    (made(("ipv6_addr", "inet_proto", "inet_service"), ("verdict",)), (("2001:db8::1", "udp", 53), Verdict("drop"))),
    (made(("ipv4_addr",)), (("0.0.0.0",), None)),
    (made(("inet_proto",)), ((255,), None)),
    (made(PORTS, ("ipv4_addr",), interval=True), (("203.0.113.2", "tcp", Interval(80, 90)), ("10.0.0.1",))),
    (made(PORTS, ("ipv4_addr",), interval=True), (("203.0.113.0/24", "tcp", 80), ("10.0.0.1",))),
    (made(PORTS, (), interval=True), ((Interval("203.0.113.1", "203.0.113.9"), "tcp", 80), None)),
]


@pytest.mark.parametrize(("of", "element"), EVERY, ids=[str(element) for _, element in EVERY])
def test_what_is_packed_is_unpacked(of: Codec, element: Element) -> None:
    assert of.unpack(one(of, element)) == element
    assert list(of.split(one(of, element) * 3)) == [one(of, element)] * 3


@pytest.mark.parametrize(
    "element",
    [
        (("203.0.113.2", "tcp", 70000), ("192.168.1.80", 443)),
        (("2001:db8::1", "tcp", 443), ("192.168.1.80", 443)),
        (("203.0.113.2", "no-such", 443), ("192.168.1.80", 443)),
        (("203.0.113.2", "tcp", Interval(1, 2)), ("192.168.1.80", 443)),
        (("203.0.113.2", "tcp"), ("192.168.1.80", 443)),
        ((b"\1\2\3", "tcp", 443), ("192.168.1.80", 443)),
    ],
    ids=["port", "family", "protocol", "range", "too-few", "bytes"],
)
def test_what_has_no_place_is_refused(element: Element) -> None:
    with pytest.raises(WireError):
        PORT_MAP.pack([element])


def test_elements_are_sent_as_bytes_only_where_they_have_one_form() -> None:
    assert codec_of(NamedSet("s", ("ipv4_addr",), frozenset(), interval=True)) is None
    assert codec_of(NamedSet("s", ("ether_addr",), frozenset())) is None
    assert codec_of(NamedSet("s", PORTS, frozenset(), interval=True))
    assert codec_of(NamedSet("s", ("mark", "mark"), frozenset(), interval=True)) is None


def test_many_elements_are_the_same_as_each_by_itself() -> None:
    many: list[Element] = [((f"10.0.{n >> 8}.{n & 255}", "udp", n), ("192.168.1.1", 1)) for n in range(20_000)]
    assert PORT_MAP.pack(many) == {one(PORT_MAP, element) for element in many[:9000]} | PORT_MAP.pack(many[9000:])


# --------------------------------------------------------------------------- what others put in


def with_more(raw: bytes, more: bytes) -> bytes:
    return attribute(1, raw[4:] + more)


def test_a_comment_means_nothing() -> None:
    commented = with_more(one(PORT_MAP, WEB), attribute(6, b"\0\x07theirs\0"))
    assert PORT_MAP.split(commented + one(PORT_MAP, MAIL)) == [one(PORT_MAP, WEB), one(PORT_MAP, MAIL)]


def test_an_element_that_cannot_be_read_is_kept_and_equals_no_other() -> None:
    counted = with_more(one(PORT_MAP, WEB), attribute(7, b"\0\0\0\0"))
    (kept,) = PORT_MAP.split(counted)
    assert kept == counted
    live = PackedElements(PORT_MAP, frozenset([kept]))
    assert live != PackedElements.of(PORT_MAP, [WEB])
    assert list(live) == [((f"0x{counted.hex()}",), None)]


@pytest.mark.parametrize("raw", [b"", b"\1", b"\x28\0\1\0", b"\x08\0\1\0\xff\xff\1\0"])
def test_damaged_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises(WireError):
        PORT_MAP.unpack(raw)


def test_only_sets_of_intervals_of_one_field_are_trees() -> None:
    assert intervals_of(NamedSet("s", ("ipv4_addr",), frozenset())) is None
    assert intervals_of(NamedSet("s", ("mark",), frozenset(), interval=True)) is None
    assert intervals_of(NamedSet("s", PORTS, frozenset(), interval=True)) is None


# --------------------------------------------------------------------------- as a set


def test_packed_elements_are_a_set_like_any_other() -> None:
    plain = frozenset({WEB, MAIL})
    same = PackedElements.of(PORT_MAP, plain)
    assert same == plain
    assert plain == same
    assert set(same) == plain
    assert len(same) == 2
    assert WEB in same
    assert "WEB" not in same
    assert same - PackedElements.of(PORT_MAP, [WEB]) == {MAIL}
    assert same - frozenset({WEB}) == {MAIL}
    assert plain - PackedElements.of(PORT_MAP, [WEB]) == {MAIL}
    assert same | {WEB} == plain
    assert same != frozenset({(("10.0.0.0/8",), None)})
    assert same != "MAIL"


def test_a_set_is_equal_in_either_form() -> None:
    plain = NamedSet("dnat_port_4", PORTS, frozenset({WEB}), ("ipv4_addr", "inet_service"))
    assert packed(plain) == plain
    assert frozenset({packed(plain)}) == frozenset({plain})
    assert packed(packed(plain)).elements == plain.elements
    interval = NamedSet("inside_4", ("ipv4_addr",), frozenset({(("10.0.0.0/8",), None)}), interval=True)
    assert packed(interval) is interval


@pytest.mark.parametrize("family", [4, 6])
def test_columns_are_packed_as_elements_are(family: int) -> None:
    key, values = (f"ipv{family}_addr", "inet_proto", "inet_service"), (f"ipv{family}_addr", "inet_service")
    prefix = "203.0.113." if family == 4 else "2001:db8::"
    columns = (
        [ip_address(f"{prefix}{n}") for n in range(1, 9)],
        ["tcp", "udp", "sctp", "dccp"] * 2,
        range(1, 9),
        [ip_address(f"{prefix}{n}") for n in range(11, 19)],
        range(65528, 65536),
    )
    rows = zip(*columns, strict=True)
    elements = frozenset(((str(a), protocol, p), (str(b), q)) for a, protocol, p, b, q in rows)
    found = codec_for(key, values)
    assert found is not None
    assert frozenset(found.pack_columns(columns)) == found.pack(elements)
    with pytest.raises(WireError, match="does not fit"):
        found.pack_columns([column[:1] for column in columns[:4]] + [[65536]])


# --------------------------------------------------------------------------- batches


def test_a_batch_is_messages_of_at_most_64_kib_and_names_what_an_error_is_about() -> None:
    raws = sorted(PORT_MAP.pack(((f"10.0.{n >> 8}.{n & 255}", "tcp", 1), ("10.9.9.9", 2)) for n in range(4000)))
    made = element_batch("nvi", [ElementChange("add", "m", raws), ElementChange("delete", "n", raws[:1])], first=10)
    assert [len(part.elements) for part in made.parts] == [1638, 1638, 724, 1]
    lengths = [4 + sum(map(len, part.elements)) for part in made.parts]
    assert max(lengths) <= 0xFFFF
    part, element = made.blamed(12, made.prefixes[1] + 40 * 5 + 8)
    assert part is made.parts[1]
    assert element == raws[1638 + 5]
    assert made.blamed(14, None) == (made.parts[3], None)
    assert made.blamed(10, None) == (None, None)
    assert made.blamed(12, 4) == (made.parts[1], None)


def messages(data: bytes) -> list[tuple[int, int]]:
    """(type, sequence) of each."""
    found, offset = [], 0
    while offset < len(data):
        length, kind, _, sequence = struct.unpack_from("=IHHI", data, offset)
        found.append((kind, sequence))
        offset += length
    return found


def test_a_check_is_a_batch_without_an_end() -> None:
    change = [ElementChange("add", "m", [one(PORT_MAP, WEB)])]
    assert messages(element_batch("nvi", change).data) == [(16, 1), (0xA0C, 2), (17, 3)]
    assert messages(element_batch("nvi", change, commit=False).data) == [(16, 1), (0xA0C, 2)]


def test_a_batch_carries_the_generation_that_it_was_planned_for() -> None:
    change = [ElementChange("delete", "m", [one(PORT_MAP, WEB)])]
    assert attribute(1, struct.pack("!I", 77)) in element_batch("nvi", change, generation=77).data[:28]
    assert len(element_batch("nvi", change).data) == len(element_batch("nvi", change, generation=77).data) - 8


@given(st.sets(st.integers(0, 9)), st.lists(st.tuples(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))))
def test_elements_that_were_exchanged_are_what_they_would_be_anyway(
    start: set[int], steps: list[tuple[set[int], set[int]]]
) -> None:
    """Whatever is compared with whatever before it, made of it or not."""

    def raws(numbers: set[int]) -> frozenset[bytes]:
        return PORT_MAP.pack((("192.0.2.1", "tcp", n), ("10.0.0.1", 1)) for n in numbers)

    made, plain = [PackedElements(PORT_MAP, raws(start))], [raws(start)]
    for less, more in steps:
        plain.append(plain[-1] - raws(less) | raws(more))
        made.append(made[-1].exchanged(raws(less), raws(more)))
        assert len(made[-1]) == len(plain[-1])
    for mine, a in zip(made, plain, strict=True):
        for other, b in zip(made, plain, strict=True):
            assert (mine == other) == (a == b)
            assert mine - other == PackedElements(PORT_MAP, a - b)
            assert mine.changes(other) == (b - a, a - b)
        assert mine.raw == a
