"""Which live packets to trace: the words of a packet, where addresses may be `any` and ports left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvi_operator.dataclass import dataclass
from nvi_operator.explain.packet import ICMP_OF, WITH_PORTS, Packet
from nvi_operator.explain.words import ARROWS, PacketError, parse_packet
from nvi_operator.language.model.services import PROTOCOL_NAMES
from nvi_operator.language.model.values import Address, Family

ANY = "any"
_ANY_HOST = {4: "192.0.2.1", 6: "2001:db8::1"}
_BEFORE_ALL = -500  # the gateway's first chain is at -450, and conntrack at -200 (topology/numbers.py)
_BEHIND_CONNTRACK, _BEHIND_ALL = -190, 350  # the guard is at 300, every translation before it
# Chains that tell where a packet was where no other chain does, such as that the gateway itself takes it.
WITNESSES = {"translated": "postrouting", "received": "input"}
_ROOM, _REMEMBERED = 4096, 10  # translated packets; seconds
_OTHERS = 8  # packets for each one that is wanted: of other flows, sent again, answers to what was there before


@dataclass(frozen=True)
class Wanted:
    """Packets of one flow, or of several: None is any."""

    in_interface: str | None
    family: Family
    protocol: int
    source: Address | None = None
    source_port: int | None = None
    destination: Address | None = None
    destination_port: int | None = None

    def covers(self, packet: Packet) -> bool:
        asked = (
            (self.in_interface, packet.in_interface),
            (self.source, packet.source),
            (self.source_port, packet.source_port),
            (self.destination, packet.destination),
            (self.destination_port, packet.destination_port),
        )
        return packet.protocol == self.protocol and all(want in (None, has) for want, has in asked)


@dataclass(frozen=True)
class Stages:
    """How a gateway tells its passes apart: the bit of the second one, and the device between them."""

    mask: int
    device: str


def parse_wanted(words: Sequence[str], in_interface: str | None) -> Wanted:
    """`tcp any to 203.0.113.9:443`. Raises PacketError."""
    split = [part for word in words for part in word.split()]
    arrow = next((number for number, word in enumerate(split) if word in ARROWS), None)
    if arrow is None or arrow + 1 >= len(split) or arrow < 2:
        parse_packet(split, in_interface)  # says what is wrong
        raise PacketError("packet: nothing is known of it", hint="write it as in tcp any to 203.0.113.9:443")
    ends = {-1: split[arrow - 1], 1: split[arrow + 1]}
    hosts = {side: _host(end) for side, end in ends.items()}
    family = 6 if any(":" in host for host in hosts.values()) else 4
    for side, end in ends.items():
        if hosts[side] == ANY:
            address = _ANY_HOST[family]
            split[arrow + side] = end.replace(ANY, f"[{address}]" if family == 6 else address)
    without_port = {side: not _has_port(split[arrow + side]) for side in ends}
    if without_port[1] and _protocol_has_ports(split[0]):
        text = split[arrow + 1]
        split[arrow + 1] = f"[{text}]:1" if ":" in text and not text.startswith("[") else f"{text}:1"
    packet = parse_packet(split, in_interface)
    echo = packet.protocol in ICMP_OF.values()
    return Wanted(
        in_interface,
        packet.family,
        packet.protocol,
        None if hosts[-1] == ANY else packet.source,
        None if without_port[-1] and not (echo and "id" in split) else packet.source_port,
        None if hosts[1] == ANY else packet.destination,
        None if without_port[1] else packet.destination_port,
    )


def _host(word: str) -> str:
    if word.startswith("["):
        return word[1:].partition("]")[0]
    return word.partition(":")[0] if word.count(":") == 1 else word


def _has_port(word: str) -> bool:
    return "]:" in word or word.count(":") == 1


def _protocol_has_ports(name: str) -> bool:
    numbers = {text: number for number, text in PROTOCOL_NAMES.items()}
    return numbers.get(name.lower(), int(name) if name.isdecimal() else 0) in WITH_PORTS


# --------------------------------------------------------------------------- the table


def table_text(name: str, wanted: Wanted, gateway: Stages, count: int, *, answers: bool) -> str:
    """nft commands: a table that traces at most `count` packets, in both passes.

    What a packet is in the second pass only conntrack knows, in the first one: behind all translation there, its
    addresses and ports go into a set, and the second pass is traced where they are in it.
    """
    first = f"meta mark & {gateway.mask:#x} == 0"
    second = f"meta mark & {gateway.mask:#x} == {gateway.mask:#x}"
    trace = "meta nftrace set 1"
    once, again = (f"limit rate 1/hour burst {n} packets" for n in (count, count * _OTHERS))
    exact, known = " ".join(_interface(wanted) + _flow(wanted)), " ".join(_original(wanted))
    key = _key(wanted)
    family = " ".join(_protocol(wanted))
    commands = [f"add table inet {name} {{ flags owner; }}"]
    types = " . ".join(key.values())
    room = f"size {_ROOM}; flags dynamic,timeout; timeout {_REMEMBERED}s;"
    commands.append(f"add set inet {name} translated {{ type {types}; {room} }}")
    fields = " . ".join(key)
    for hook in ("prerouting", *(["output"] if wanted.in_interface is None else [])):
        chain = f"packets_{hook}"
        commands += [
            _chain(name, chain, hook, _BEFORE_ALL),
            f"add rule inet {name} {chain} {first} {exact} {once} {trace}",
            f"add rule inet {name} {chain} {second} {family} {fields} @translated {again} {trace}",
        ]
    commands += [_chain(name, chain, hook, _BEHIND_ALL) for chain, hook in WITNESSES.items()]
    directions = ("original", "reply") if answers else ("original",)
    add = f"add @translated {{ {fields} }}"
    left = f'add rule inet {name} translated oifname "{gateway.device}"'
    commands += [f"{left} ct direction {direction} {known} {add}" for direction in directions]
    commands.append(f"{left} {' '.join(_flow(wanted))} {add}")
    if answers:
        commands.append(_chain(name, "answers", "prerouting", _BEHIND_CONNTRACK))
        commands.append(f"add rule inet {name} answers {first} ct direction reply {known} {again} {trace}")
    return "\n".join(commands) + "\n"


def _key(wanted: Wanted) -> dict[str, str]:
    """What tells a translated packet from others: fields, and the types that they have in a set."""
    word, type_ = ("ip", "ipv4_addr") if wanted.family == 4 else ("ip6", "ipv6_addr")
    key = {f"{word} saddr": type_, f"{word} daddr": type_}
    if wanted.protocol in WITH_PORTS:
        key |= {"th sport": "inet_service", "th dport": "inet_service"}
    return key


def _chain(table: str, name: str, hook: str, priority: int) -> str:
    kind = "filter"
    return f"add chain inet {table} {name} {{ type {kind} hook {hook} priority {priority}; policy accept; }}"


def _interface(wanted: Wanted) -> list[str]:
    return [f'iifname "{wanted.in_interface}"'] if wanted.in_interface else []


def _protocol(wanted: Wanted) -> list[str]:
    return [f"meta nfproto ipv{wanted.family}", f"meta l4proto {wanted.protocol}"]


def _flow(wanted: Wanted) -> list[str]:
    return [*_protocol(wanted), *_end(wanted, "s"), *_end(wanted, "d")]


def _end(wanted: Wanted, side: str) -> list[str]:
    word = "ip" if wanted.family == 4 else "ip6"
    address, port = _of(wanted, side)
    found = [f"{word} {side}addr {address}"] if address else []
    if port is not None and wanted.protocol in WITH_PORTS:
        found.append(f"th {side}port {port}")
    return found


def _of(wanted: Wanted, side: str) -> tuple[Address | None, int | None]:
    if side == "s":
        return wanted.source, wanted.source_port
    return wanted.destination, wanted.destination_port


def _original(wanted: Wanted) -> Iterator[str]:
    """What conntrack knows of the flow that is answered."""
    yield from _protocol(wanted)
    word = "ip" if wanted.family == 4 else "ip6"
    for side in ("s", "d"):
        address, port = _of(wanted, side)
        if address:
            yield f"ct original {word} {side}addr {address}"
        if port is not None and wanted.protocol in WITH_PORTS:
            yield f"ct original proto-{'src' if side == 's' else 'dst'} {port}"
