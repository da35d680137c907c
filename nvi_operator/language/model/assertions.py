"""Assertions: what has to hold of packets, whatever the rest of a spec says. `validate` and `plan` check them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from nvi_operator.language.model.address_sets import KnownSets, networks_of
from nvi_operator.language.model.base import Entry
from nvi_operator.language.model.fields import (
    NAME_SCHEMA,
    RANGE_SCHEMA,
    Dscps,
    IfNames,
    Maybe,
    Name,
    Protocols,
    Services,
    SpecMark,
    as_tuple,
    distinct,
)
from nvi_operator.language.model.services import (
    PROTOCOLS,
    Service,
    Target,
    check_protocols,
    parse_protocol,
    parse_service,
    parse_target,
)
from nvi_operator.language.model.source_nat import Exceptions
from nvi_operator.language.model.validators import BeforeValidator, ContextValidator, PlainSerializer, PlainValidator
from nvi_operator.language.model.values import (
    FAMILIES,
    SELF,
    AddressRange,
    Network,
    parse_address_range,
    parse_name,
    parse_network,
)
from nvi_operator.language.wording import HintedError, shown

INSIDE = "inside"  # whatever the interfaces of the spec declare
OUTSIDE = "outside"  # whatever is reached by uplinks
ALL = "all"  # protocols and ports
UNCHANGED = "unchanged"
_MOST_PROTOCOL = 255

End = Network | Literal["inside", "outside", "self"]
Traffic = Service | str  # ports with protocol, or a protocol by its name or number


_WORDS = (INSIDE, OUTSIDE, SELF)


def _parse_ends(value: Any, sets: KnownSets | None) -> tuple[End, ...]:
    found: list[End] = []
    for item in distinct(value):
        if item in _WORDS:
            found.append(item)
        else:
            found += networks_of(item, sets, _WORDS)
    return tuple(dict.fromkeys(found))


def _is_word(value: object) -> bool:
    return isinstance(value, str) and not any(sign in value for sign in ".:/")


def _parse_place(value: object) -> Network | str:
    """An uplink's name, which stands for its addresses, or a prefix."""
    return parse_name(value) if _is_word(value) else parse_network(value)


def _parse_traffic(value: object) -> Traffic:
    is_port = isinstance(value, int) and value > _MOST_PROTOCOL
    if is_port or isinstance(value, Service) or (isinstance(value, str) and "/" in value):
        return parse_service(value)
    return parse_protocol(value)


def _parse_never(value: Any) -> Any:
    return value if value == ALL else tuple(_parse_traffic(item) for item in distinct(value))


def _parse_sources(value: Any) -> Any:
    return value if value == UNCHANGED else tuple(_parse_source(item) for item in distinct(value))


def _parse_source(value: Any) -> AddressRange:
    if _is_word(value):
        raise HintedError(f"{shown(value)} is not an address", f"write `by: {value}` where it is an uplink")
    return parse_address_range(value)


def _parse_receivers(value: Any) -> Any:
    if value == SELF:
        return value
    targets = tuple(parse_target(item) for item in distinct(value))
    for target in targets:
        if target.ports is not None and target.ports.size > 1:
            raise ValueError(f"{shown(str(target))}: name one port, or none for whatever port arrives there")
    return targets


def _written(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, tuple) else value


def _several(item: dict[str, Any], *words: str) -> WithJsonSchema:
    alone = [{"const": word} for word in words]
    return WithJsonSchema({"anyOf": [*alone, item, {"type": "array", "items": item, "minItems": 1}]})


_END_SCHEMA = {"type": "string", "examples": [INSIDE, OUTSIDE, SELF, "10.0.0.0/8"]}
_PLACE_SCHEMA = {"type": "string", "examples": ["isp-a", "203.0.113.2"]}
_RECEIVER_SCHEMA = {"type": "string", "examples": ["192.168.1.80:8443", "192.168.1.80", SELF]}
_TRAFFIC_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["443/tcp", "8000-8010/udp", *PROTOCOLS]},
        {"type": "integer", "minimum": 1, "maximum": 255},
    ]
}
_STRS = PlainSerializer(_written)

Ends = Annotated[
    tuple[End, ...],
    ContextValidator(_parse_ends),
    _STRS,
    _several(_END_SCHEMA),
]
Places = Annotated[
    tuple[Network | str, ...],
    PlainValidator(lambda value: tuple(_parse_place(item) for item in distinct(value))),
    _STRS,
    _several(_PLACE_SCHEMA),
]
SeveralTraffics = Annotated[
    tuple[Traffic, ...],
    PlainValidator(lambda value: tuple(_parse_traffic(item) for item in distinct(value))),
    _STRS,
    _several(_TRAFFIC_SCHEMA),
]
Nothing = Annotated[
    tuple[Traffic, ...] | Literal["all"], PlainValidator(_parse_never), _STRS, _several(_TRAFFIC_SCHEMA, ALL)
]
Sources = Annotated[
    tuple[AddressRange, ...] | Literal["unchanged"],
    PlainValidator(_parse_sources),
    _STRS,
    _several(RANGE_SCHEMA, UNCHANGED),
]
Receivers = Annotated[
    tuple[Target, ...] | Literal["self"], PlainValidator(_parse_receivers), _STRS, _several(_RECEIVER_SCHEMA)
]
Uplinks = Annotated[tuple[Name, ...], BeforeValidator(as_tuple), _several(NAME_SCHEMA)]


class Assertion(Entry):
    """What has to hold of packets that open a flow, whatever the rest of the spec says.

    The first fields say which packets: as they are sent (`from`, `in`, `at`, `protocol`, `ports`, `fromPorts`,
    `dscp`, `mark`), and who gets them (`to`). The last ones, of which there is at least one, say what has to be true
    of all of them: `only` and `never`, what may arrive; `reaches`, where they arrive; `by` and `as`, how they leave
    by an uplink.
    `validate` checks assertions with every uplink working, `plan` on the gateway as it is now; each that fails is
    told with a packet. An assertion that is about no packet at all fails. Nothing in the kernel is made of it.
    """

    name: Name = Field(description="Its name in reports.")
    from_: Maybe[Ends] = Field(
        None,
        alias="from",
        description="Who sends, by addresses before translation: prefixes; `inside`, what the interfaces of the spec "
        "declare; `outside`, everyone whose packets come in by an uplink; `self`, the gateway "
        "with the address that it chooses; its own addresses, what is bound to them. Left out: inside and outside.",
    )
    in_: Maybe[IfNames] = Field(None, alias="in", description="Interfaces that the packets come in by.")
    at: Maybe[Places] = Field(
        None,
        description="Where they are sent, by addresses before translation: prefixes, or uplinks by name, which stand "
        "for their addresses. Left out: anywhere; from the outside, what is routed to the gateway.",
    )
    protocol: Maybe[Protocols] = Field(None, description="Protocols.")
    ports: Maybe[Services] = Field(
        None, description="Destination ports with protocol, before translation, as in 443/tcp."
    )
    from_ports: Maybe[Services] = Field(
        None,
        alias="fromPorts",
        description="Source ports with protocol, as in 5060/udp: those that the client sends from.",
    )
    dscp: Maybe[Dscps] = Field(None, description="DSCPs, by name or number. Left out: whichever.")
    mark: Maybe[SpecMark] = Field(
        None, description="Mark that another program gave the packet, as in 0x10. Left out: none."
    )
    to: Maybe[Ends] = Field(
        None,
        description="Who gets them, by addresses after translation: prefixes, for the hosts there; `inside`, "
        "`outside`, or `self`, the gateway. Left out: whoever does.",
    )
    except_: Maybe[Exceptions] = Field(
        None, alias="except", description="Packets that it is not about, as `from`, `to` and `ports` have them."
    )
    only: Maybe[SeveralTraffics] = Field(
        None,
        description="Nothing else arrives: ports with protocol, after translation, and protocols, as in "
        "`[443/tcp, icmp]`.",
    )
    never: Maybe[Nothing] = Field(
        None,
        description="This never arrives: the same; or `all`: nothing does.",
    )
    reaches: Maybe[Receivers] = Field(
        None, description="Each arrives, at one of these servers, with or without a port; or at `self`."
    )
    by: Maybe[Uplinks] = Field(
        None,
        description="Each leaves by one of these uplinks; save what is sent to the inside, to the gateway, or to the "
        "network on an uplink's wire.",
    )
    as_: Maybe[Sources] = Field(
        None,
        alias="as",
        description="Each leaves by an uplink with one of these source addresses, save as for `by`: addresses, "
        "ranges, prefixes; or `unchanged`.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.only or self.never or self.reaches or self.by or self.as_):
            raise ValueError("nothing has to hold: give at least one of only, never, reaches, by and as")
        if self.never == ALL and (self.only or self.reaches or self.by or self.as_):
            raise ValueError("never all says that nothing arrives: leave the others out")
        check_protocols(self.ports, self.from_ports, self.protocol)
        if self.in_ and SELF in (self.from_ or ()):
            raise ValueError("the gateway's own packets come in by no interface: write from: self, without in")
        return self

    @property
    def families(self) -> frozenset[int]:
        """The families of its packets: those of all sides that name addresses and nothing else."""
        common = set[int](FAMILIES)
        for side in (self.from_, self.at, self.to):
            if side and not any(isinstance(each, str) for each in side):
                common &= {each.version for each in side if not isinstance(each, str)}
        if isinstance(self.reaches, tuple):
            common &= {target.address.version for target in self.reaches}
        if isinstance(self.as_, tuple):
            common &= {given.family for given in self.as_}
        return frozenset(common)
