"""Source NAT: which packets, and what their source becomes."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidatorFunctionWrapHandler, WithJsonSchema, model_validator

from nvi_operator.language.model.address_sets import SelectedNetworks
from nvi_operator.language.model.base import Entry, Model, fields_of
from nvi_operator.language.model.fields import (
    NAME_SCHEMA,
    RANGE_SCHEMA,
    Dscps,
    IfNames,
    Maybe,
    Name,
    OrShort,
    Protocols,
    Services,
    SourcePorts,
    SpecMark,
    SpecRange,
    as_tuple,
    distinct,
    equally_weighted,
)
from nvi_operator.language.model.servers import Pick, Share, Weight
from nvi_operator.language.model.services import check_protocols
from nvi_operator.language.model.validators import BeforeValidator, Later, PlainSerializer, WrapValidator
from nvi_operator.language.model.values import AddressRange, parse_address_range, parse_name
from nvi_operator.language.wording import nearest, shown


def _shares(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """An uplink that is named without a weight has None, which stands for its own."""
    if isinstance(value, dict):
        return handler(value)
    names = distinct(value)
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"expected an uplink's name, found {shown(name)}")
    return dict.fromkeys(handler(dict.fromkeys(names, 1)))


def _written_shares(shares: dict[str, int | None]) -> Any:
    return list(shares) if None in shares.values() else shares


_SHARES_SCHEMA: dict[str, Any] = {
    "anyOf": [
        NAME_SCHEMA,
        {"type": "array", "items": NAME_SCHEMA, "minItems": 1},
        {
            "type": "object",
            "patternProperties": {NAME_SCHEMA["pattern"]: {"type": "integer", "minimum": 0, "maximum": 1000}},
        },
    ]
}
Shares = Annotated[
    dict[Name, Maybe[Share]],
    WrapValidator(_shares),
    PlainSerializer(_written_shares),
    WithJsonSchema(_SHARES_SCHEMA),
]


def _tiers(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    tiers: Any = handler(as_tuple(value))
    seen: set[str] = set()
    for tier in tiers:
        if not tier:
            raise ValueError("a group is empty: name an uplink")
        if again := seen & tier.keys():
            raise ValueError(f"{min(again)!r} is named twice: an uplink has one place in the order")
        seen |= tier.keys()
    return tiers


Tiers = Annotated[
    tuple[Shares, ...],
    WrapValidator(_tiers),
    WithJsonSchema({"anyOf": [NAME_SCHEMA, {"type": "array", "items": _SHARES_SCHEMA, "minItems": 1}]}),
]


def _pool(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, dict):
        if not value:
            raise ValueError("there is no address: name one")
        return handler(value)
    return handler(equally_weighted(value, AddressRange, "range", "an address, a range or a prefix"))


def _written_pool(pool: dict[AddressRange, int]) -> Any:
    written = {str(range_): weight for range_, weight in pool.items()}
    return list(written) if set(written.values()) == {1} else written


_POOL_SCHEMA: dict[str, Any] = {
    "anyOf": [
        RANGE_SCHEMA,
        {"type": "array", "items": RANGE_SCHEMA, "minItems": 1},
        {
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 1000},
            "minProperties": 1,
        },
    ]
}
Pool = Annotated[
    dict[SpecRange, Weight], WrapValidator(_pool), PlainSerializer(_written_pool), WithJsonSchema(_POOL_SCHEMA)
]


class Translation(Model):
    """What a source address becomes. The short forms: an uplink's name, an address, a range, `unchanged`."""

    unchanged: bool = Field(
        False,
        description="The source stays, and such packets leave by the default uplink. Packets to an inside network "
        "never do, unless `to` names a part of one.",
    )
    uplinks: Shares = Field(
        default_factory=dict,
        description="The address of one of these uplinks: a list uses the uplinks' own weights, a mapping the "
        "weights in it. One of weight 0 is used only when none of the others works.",
    )
    first: Maybe[Tiers] = Field(
        None,
        description="Uplinks by preference: the first that works, as in `{first: [isp-a, isp-b]}`. An item may be "
        "several uplinks, as in `{first: [[isp-a, isp-b], lte]}` or `{first: [{isp-a: 3, isp-b: 1}, lte]}`, which "
        "share the flows, as `uplinks` do, while one of them works. New flows go back when an earlier one works "
        "again.",
    )
    pool: Maybe[Pool] = Field(
        None,
        description="Addresses, ranges and prefixes to choose from, in each family; as a mapping, each address of a "
        "range has its weight. Each is an uplink's, or the "
        "gateway's own in an inside network, where `to` names that network.",
    )
    ports: Maybe[SourcePorts] = Field(
        None,
        description="Use source ports of this range only. Left out: the client's own, where it is free. random: any, "
        "drawn for each flow. A small range runs out: for each destination a port is one connection, and for as long "
        "as its last one is in TIME_WAIT there, the far end may ignore the next client that is given the port, "
        "whose sequence numbers need not be larger.",
    )
    pick: Pick = Field(
        "hash",
        description="How one of several is chosen. hash: by client and destination; the same as long as that one is "
        "there, whatever else changes; where one is added or removed, only its share moves. client: by the client. "
        "client-port: by the client and its port, where the protocol has ports. random, round-robin: each connection "
        "by itself.",
    )
    persistent: bool = Field(
        False, description="A client keeps its address for all destinations: the same as `pick: client`."
    )
    overload: bool = Field(
        True, description="May several clients share an address? If not, the pool needs one for each."
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        given = [self.unchanged, bool(self.uplinks), self.first is not None, self.pool is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of unchanged, uplinks, first and pool")
        if self.unchanged and self.ports:
            raise ValueError("unchanged takes no ports")
        if not self.overload and (not self.pool or self.ports):
            raise ValueError("overload: false needs a pool, and no ports")
        if not self.overload and len(set((self.pool or {}).values())) > 1:
            raise ValueError("overload: false gives each source its own address: weights mean nothing")
        if self.persistent and self.pick not in ("hash", "client"):
            raise ValueError(f"persistent: a client cannot keep its address when the pick is {self.pick}")
        return self

    @property
    def tiers(self) -> tuple[Mapping[str, int | None], ...]:
        """Its uplinks by preference; those of one tier share the flows, by weight or by the uplinks' own (None)."""
        return self.first or ((self.uplinks,) if self.uplinks else ())

    @property
    def names(self) -> tuple[str, ...]:
        """Every uplink that it names, the preferred ones first."""
        return tuple(name for tier in self.tiers for name in tier)


def _are_weights(value: dict[Any, Any]) -> bool:
    """Uplinks or addresses with weights, without the field they belong to."""
    known = tuple(fields_of(Translation))
    return bool(value) and all(
        type(weight) is int and name not in known and not nearest(name, known) for name, weight in value.items()
    )


def _parse_translation(value: Any) -> Any:
    if isinstance(value, dict) and _are_weights(value):
        raise ValueError(f"expected fields, found {shown(next(iter(value)))} with a weight")
    if isinstance(value, dict | Translation):
        return value
    if value == "unchanged":
        return Translation(unchanged=True)
    items = as_tuple(value)
    ranges: list[Any] = []
    names: list[str] = []
    for item in items:
        if not isinstance(item, str | AddressRange):
            raise ValueError(f"expected an uplink's name, an address, a range or a prefix, found {shown(item)}")
        if isinstance(item, str) and not any(sign in item for sign in ".:/"):
            names.append(parse_name(item))
        else:
            ranges.append(parse_address_range(item))
    if names and ranges:
        raise ValueError(f"{names[0]!r} is an uplink's name among addresses: name uplinks or addresses, not both")
    if names:
        return Translation.model_validate({"uplinks": names})
    return Translation.model_validate({"pool": tuple(ranges)})


_SHORT_TRANSLATIONS: tuple[dict[str, Any], ...] = (
    {"type": "string", "examples": ["isp-a", "unchanged", "192.0.2.1", "192.0.2.1-192.0.2.9", "192.0.2.0/28"]},
    {"type": "array", "items": {"type": "string"}, "minItems": 1},
)


class Exceptions(Model):
    """Packets that a rule is not about: each of these that matches takes a packet out of it."""

    from_: Maybe[SelectedNetworks] = Field(None, alias="from", description="Source prefixes.")
    to: Maybe[SelectedNetworks] = Field(None, description="Destination prefixes.")
    ports: Maybe[Services] = Field(None, description="Destination ports with protocol, as in 25/tcp.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.from_ or self.to or self.ports):
            raise ValueError("give at least one of from, to and ports")
        return self


class SourceNat(Entry):
    """One rule of source NAT: which packets, and what their source becomes. The first that matches wins.

    A rule without `in` and `from` that says which packets it is about (`to`, `protocol`, ports) is also about what
    the gateway itself sends, where its program has bound it to no address: it leaves by that uplink, with the address
    of the uplink; of several, by the one of the largest weight that works. What is bound to the address of an uplink
    leaves by that one, and what goes to connected networks keeps to them.
    """

    name: Name = Field(description="Its name in counters, diffs and messages.")
    from_: Maybe[SelectedNetworks] = Field(
        None,
        alias="from",
        description="Source prefixes. Left out: everything behind the inside interfaces.",
    )
    to: Maybe[SelectedNetworks] = Field(
        None,
        description="Destination prefixes. A part of an inside network is then beyond an uplink; where `main` has a "
        "route to it by way of the inside, a rule of `routes` has to lead there as well.",
    )
    in_: Maybe[IfNames] = Field(
        None,
        alias="in",
        description="Interfaces that the packet came in by; `self`: what the gateway itself sends, also of a rule "
        "that says nothing else. Left out: any that is no uplink's.",
    )
    tenant: Maybe[Name] = Field(None, description="The tenant whose packets these are.")
    protocol: Maybe[Protocols] = Field(None, description="Protocols.")
    ports: Maybe[Services] = Field(None, description="Destination ports with protocol, as in 443/tcp.")
    from_ports: Maybe[Services] = Field(
        None, description="Source ports with protocol, as in 5060/udp: those that the client sends from."
    )
    dscp: Maybe[Dscps] = Field(
        None, description="DSCP of the packet that opens the flow, by name or number, as in ef, af41 or 46."
    )
    mark: Maybe[SpecMark] = Field(
        None,
        description="Mark that another program gave the packet that opens the flow, as in 0x10, or 0x10/0xff to "
        "compare some bits.",
    )
    except_: Maybe[Later[Exceptions]] = Field(
        None, alias="except", description="What the rule is not about; such packets go on to the next rule."
    )
    as_: Annotated[Translation, BeforeValidator(_parse_translation), OrShort(*_SHORT_TRANSLATIONS)] = Field(
        alias="as", description="What the source becomes."
    )

    @model_validator(mode="after")
    def _ports_bring_their_protocol(self) -> Self:
        check_protocols(self.ports, self.from_ports, self.protocol)
        return self
