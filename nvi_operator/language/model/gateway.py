"""The spec language: pydantic models of what a user writes.

Read `Gateway` first. Every model is frozen and refuses unknown fields. Checks that need one value only
live in `values.py`, those that need one entry here, those that need the whole gateway in `check/whole.py`.
What a gateway may have by the ten thousand (forwards, 1:1 and twice NAT) is in `nat_entries.py`.
No field is a mark, a table number or a rule priority, save in `Numbers`, which nobody needs.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from nvi_operator.language.model.nat_entries import Forward, Pick, Static, TwiceNat, Weight, fields_of, is_model
from nvi_operator.language.model.values import (
    NAME_SCHEMA,
    RANGE_SCHEMA,
    Addresses,
    AddressRange,
    EntryFiles,
    HostNames,
    IfName,
    IfNames,
    Maybe,
    Name,
    Networks,
    OrShort,
    Protocols,
    Services,
    SourcePorts,
    SpecRange,
    as_tuple,
    distinct,
    parse_address_range,
    parse_name,
)
from nvi_operator.language.wording import nearest, shown


class Model(BaseModel):
    """Frozen, strict, camelCase in YAML, no unknown fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,  # and by no other name: source_nat must not pass beside sourceNat
        serialize_by_alias=True,
    )


# --------------------------------------------------------------------------- the box


class Dataplane(Model):
    """How a packet gets its second pass. The defaults suit nearly everyone."""

    type: Literal["auto", "kmod", "bpf"] = Field(
        "auto", description="kmod: the nvi kernel module; bpf: eBPF; auto: the module where it can be had."
    )
    device: IfName = Field("nvi0", description="Name of the NAT virtual interface.")
    in_interface: Literal["auto", "mark", "skb_iif"] = Field(
        "auto",
        description="How the device learns where a packet came in: from the packet mark that the mark hook "
        "wrote, or from the kernel's own record. auto: mark, unless the spec needs the other.",
    )
    stage_bit: int = Field(
        31,
        ge=16,
        le=31,
        description="The bit of the packet mark that says 'stage 2'. Change it if it is taken.",
    )
    local_bit: int = Field(
        30,
        ge=16,
        le=31,
        description="The bit of the packet mark for the gateway's own ICMP errors about NATed flows.",
    )
    keep_marks: bool = Field(
        False, description="Let marks set by others in stage 1 survive into stage 2 (implies skb_iif)."
    )
    hide_hop: bool = Field(
        False,
        description="Give back the TTL that the second pass costs, so that traceroute shows the gateway once.",
    )
    ipsec: bool = Field(
        False,
        description="Set it where IPsec policies end on this gateway: what they decrypt for inside networks takes "
        "one pass, without NAT. On a second one the policies would refuse it, for nothing tells any more that it was "
        "encrypted.",
    )

    @model_validator(mode="after")
    def _bits_differ(self) -> Dataplane:
        if self.stage_bit == self.local_bit:
            raise ValueError(f"stageBit and localBit are both {self.stage_bit}: they must differ")
        if self.keep_marks and self.in_interface == "mark":
            raise ValueError("keepMarks needs the mark for others: inInterface cannot be mark")
        return self


class Numbers(Model):
    """Numbers that the kernel needs and no user does; change one only where it collides."""

    rule_priority: int = Field(
        1000,
        ge=1,
        le=31000,
        description="First of 1000 FIB rule priorities that we use; one more is 32767 behind it.",
    )
    table: int = Field(7800, ge=256, le=2**30, description="First routing table number; uplinks follow it.")
    protocol: int = Field(78, ge=5, le=255, description="Protocol number that marks routes and rules as ours.")
    link_group: int = Field(78, ge=1, le=2**31 - 2, description="Link group of the uplinks; the next one is nvi's.")


class Guards(Model):
    """What protects a gateway from addresses that cannot be true."""

    anti_spoof: Literal["local", "strict", "off"] = Field(
        "local",
        description="local: drop what claims one of the gateway's own addresses. strict: also what would not be "
        "answered through the interface it came in by. off: neither.",
    )


class InterfaceSpec(Model):
    """An interface that takes part in NAT and is no uplink."""

    networks: Networks = Field(description="The prefixes that live behind this interface.")
    known_as: Maybe[Networks] = Field(
        None, description="Prefixes, on no uplink, under which others on this gateway know these networks."
    )
    tenant: Maybe[Name] = Field(
        None, description="Which tenant this is. Tenants may use the same addresses at the same time."
    )


def _next_hop(value: Any) -> Any:
    return value if value == "auto" else as_tuple(value)


def _addresses(value: Any) -> Any:
    return value if value == "auto" else as_tuple(value)


def _networks(value: Any) -> Any:
    return value if value in ("auto", "none") else as_tuple(value)


_AUTO_NONE_OR_NETWORKS: dict[str, Any] = {
    "anyOf": [
        {"enum": ["auto", "none"]},
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}

_AUTO_OR_ADDRESSES: dict[str, Any] = {
    "anyOf": [
        {"const": "auto"},
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
    ]
}


class UplinkSpec(Model):
    """A way out: an ISP, a tunnel, a partner link. Packets take the uplink that owns their translated source."""

    interface: IfName = Field(description="The interface that it is reached through.")
    next_hop: Annotated[
        Maybe[Literal["auto"] | Addresses], BeforeValidator(_next_hop), WithJsonSchema(_AUTO_OR_ADDRESSES)
    ] = Field(
        None,
        description="The router's address, one per family. auto: what DHCP or router advertisements "
        "put into the main table. Left out: a point-to-point link that needs none.",
    )
    addresses: Annotated[
        Literal["auto"] | Addresses, BeforeValidator(_addresses), WithJsonSchema(_AUTO_OR_ADDRESSES)
    ] = Field(
        "auto",
        description="The addresses on the interface that belong to this uplink; the first of each family is "
        "'the uplink's address', unless translateTo names another. auto: whatever is on the interface now.",
    )
    routed: Maybe[Networks] = Field(
        None, description="Prefixes that the uplink routes to this gateway; on no interface."
    )
    networks: Annotated[
        Literal["auto", "none"] | Networks, BeforeValidator(_networks), WithJsonSchema(_AUTO_NONE_OR_NETWORKS)
    ] = Field(
        "auto",
        description="Networks behind it, such as those of a site at the other end of a tunnel, whose hosts may open "
        "connections to inside hosts by their own addresses: the answers leave untranslated. none: no such networks. "
        "auto: the private networks that lines of sourceNat name in `to`, and the link's own, unless the spec uses "
        "the uplink for public networks or addresses as well.",
    )
    translate_to: Maybe[Addresses] = Field(
        None,
        description="'The uplink's address' where it is not the first of addresses: one per family, out of addresses "
        "or routed, as for a wire that has a private transfer network only. The gateway's own packets, and flows to "
        "hosts in the wire's network, keep the address on the wire.",
    )
    default: bool = Field(
        False,
        description="Use it where no uplink is named, and for the gateway's own packets where `main` has no default "
        "route. One of each family; with one uplink only, that one is it.",
    )
    weight: Weight = Field(
        1,
        description="Its share where traffic is spread over uplinks that are named without weights, as in "
        "`as: [isp-a, isp-b]`.",
    )

    @model_validator(mode="after")
    def _one_next_hop_per_family(self) -> UplinkSpec:
        if isinstance(self.next_hop, tuple):
            versions = [hop.version for hop in self.next_hop]
            if len(set(versions)) != len(versions):
                raise ValueError("nextHop names two routers of one family; one each, IPv4 and IPv6")
        return self


# --------------------------------------------------------------------------- source NAT


def _shares(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Uplinks that are named without a weight have None, which stands for their own."""
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
            "patternProperties": {NAME_SCHEMA["pattern"]: {"type": "integer", "minimum": 1, "maximum": 1000}},
        },
    ]
}

Shares = Annotated[
    dict[Name, Maybe[Weight]],
    WrapValidator(_shares),
    PlainSerializer(_written_shares),
    WithJsonSchema(_SHARES_SCHEMA),
]


def _pool(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, dict):
        if not value:
            raise ValueError("there is no address: name one")
        return handler(value)
    ranges = as_tuple(value)
    for item in ranges:
        if not isinstance(item, str | AddressRange):
            raise ValueError(f"expected an address, a range or a prefix, found {shown(item)}")
    once = dict.fromkeys(ranges, 1)
    if len(once) < len(ranges):
        raise ValueError("a range is named twice: write a mapping of range to weight to give it more")
    return handler(once)


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
        description="The source stays, and such packets leave by the default uplink. What is for an inside network "
        "never does, unless `to` names a part of one.",
    )
    uplinks: Shares = Field(
        default_factory=dict,
        description="The address of one of these uplinks. By name: by their own weights; as a mapping: by the "
        "weights in it, and by no others.",
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
        "there, whatever else changes, and only the share of one that comes or goes moves. client: by the client. "
        "client-port: by the client and its port. random, round-robin: each new flow for itself.",
    )
    persistent: bool = Field(
        False, description="A client keeps its address, whatever it talks to: the same as `pick: client`."
    )
    overload: bool = Field(
        True, description="May several clients share an address? If not, the pool needs one for each."
    )

    @model_validator(mode="after")
    def _one_of(self) -> Translation:
        said = [self.unchanged, bool(self.uplinks), self.pool is not None]
        if sum(said) != 1:
            raise ValueError("say exactly one of unchanged, uplinks and pool")
        if self.unchanged and self.ports:
            raise ValueError("unchanged takes no ports")
        if not self.overload and (not self.pool or self.ports):
            raise ValueError("overload: false needs a pool, and no ports")
        if not self.overload and len(set((self.pool or {}).values())) > 1:
            raise ValueError("overload: false gives each source its own address: weights mean nothing")
        if self.persistent and self.pick not in ("hash", "client"):
            raise ValueError(f"persistent: a client cannot keep its address when the pick is {self.pick}")
        return self


def _are_weights(value: dict[Any, Any]) -> bool:
    """Uplinks or addresses with numbers, where the field is missing that they are of."""
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


class SourceNat(Model):
    """One line of source NAT: which packets, and what their source becomes. The first that matches wins.

    What the gateway itself sends obeys no line: it leaves with the address that its program or the kernel chose.
    """

    name: Name = Field(description="Its name in counters, diffs and messages.")
    from_: Maybe[Networks] = Field(
        None,
        alias="from",
        description="Source prefixes. Left out: everything that lives behind our interfaces.",
    )
    to: Maybe[Networks] = Field(None, description="Destination prefixes.")
    in_: Maybe[IfNames] = Field(
        None, alias="in", description="Interfaces that the packet came in by. Left out: any that is no uplink's."
    )
    tenant: Maybe[Name] = Field(None, description="The tenant whose packets these are.")
    protocol: Maybe[Protocols] = Field(None, description="Protocols.")
    ports: Maybe[Services] = Field(None, description="Destination ports with protocol, as in 443/tcp.")
    from_ports: Maybe[Services] = Field(
        None, description="Source ports with protocol, as in 5060/udp: those that the client sends from."
    )
    as_: Annotated[Translation, BeforeValidator(_parse_translation), OrShort(*_SHORT_TRANSLATIONS)] = Field(
        alias="as", description="What the source becomes."
    )

    @model_validator(mode="after")
    def _ports_bring_their_protocol(self) -> SourceNat:
        for name, services in (("ports", self.ports), ("fromPorts", self.from_ports)):
            if services and self.protocol:
                raise ValueError(f"{name} name their protocol already ({services[0]}): leave protocol out")
        alone = {service.protocol for service in self.ports or ()} ^ {s.protocol for s in self.from_ports or ()}
        if self.ports and self.from_ports and alone:
            raise ValueError(f"ports and fromPorts must be of the same protocols: only one names {min(alone)}")
        return self


# --------------------------------------------------------------------------- routing


class RouteSpec(Model):
    """Stage-2 routing beyond 'the uplink of the translated source'. The first that matches wins.

    What the gateway itself sends obeys no route of the spec: bound to an uplink's address it takes that uplink,
    unbound it goes where `main` says.
    """

    name: Name = Field(description="Its name in diffs and messages.")
    from_: Maybe[Networks] = Field(None, alias="from", description="Source prefixes, after translation.")
    to: Maybe[Networks] = Field(None, description="Destination prefixes, after translation.")
    in_: Maybe[IfNames] = Field(None, alias="in", description="Interfaces that the packet came in by.")
    via: Name = Field(description="The uplink to take.")

    @model_validator(mode="after")
    def _says_something(self) -> RouteSpec:
        if not (self.from_ or self.to or self.in_):
            raise ValueError("say at least one of from, to and in")
        return self


# --------------------------------------------------------------------------- the gateway


class GatewaySpec(Model):
    """What one gateway does."""

    host: Maybe[HostNames] = Field(
        None, description="Hostnames that this is for; `any`, or left out, for every host."
    )
    dataplane: Dataplane = Field(default_factory=Dataplane)
    numbers: Numbers = Field(default_factory=Numbers)
    guards: Guards = Field(default_factory=Guards)
    interfaces: dict[IfName, InterfaceSpec] = Field(
        default_factory=dict,
        description="Interfaces that take part in NAT, by name. Uplinks do so by themselves.",
    )
    uplinks: dict[Name, UplinkSpec] = Field(default_factory=dict, description="Ways out, by name.")
    source_nat: tuple[SourceNat, ...] = Field(
        (), strict=False, description="Source NAT; the first line that matches wins."
    )
    forwards: dict[Name, Forward] = Field(default_factory=dict, description="Destination NAT, by name.")
    forwards_from: Maybe[EntryFiles] = Field(
        None, description="Files with more forwards, in CSV or JSON Lines, beside this file or below."
    )
    static: dict[Name, Static] = Field(default_factory=dict, description="1:1 NAT, by name.")
    static_from: Maybe[EntryFiles] = Field(
        None, description="Files with more 1:1 NAT, in CSV or JSON Lines, beside this file or below."
    )
    twice_nat: dict[Name, TwiceNat] = Field(default_factory=dict, description="Twice NAT, by name.")
    twice_nat_from: Maybe[EntryFiles] = Field(
        None, description="Files with more twice NAT, in CSV or JSON Lines, beside this file or below."
    )
    routes: tuple[RouteSpec, ...] = Field(
        (), strict=False, description="Stage-2 routing; the first line that matches wins."
    )

    @property
    def wires(self) -> frozenset[str]:
        """The interfaces of uplinks."""
        return frozenset(uplink.interface for uplink in self.uplinks.values())


class Metadata(Model):
    """What a document is called."""

    name: Name
    description: str = ""


class Gateway(Model):
    """One document. Several documents, in one or many files, with one name make up one gateway."""

    api_version: Literal["nvi-operator/v1"]
    kind: Literal["Gateway"]
    metadata: Metadata
    spec: GatewaySpec = Field(default_factory=GatewaySpec)


@cache
def field_names() -> frozenset[str]:
    """Every field of the language, wherever it belongs."""
    names: set[str] = set()
    todo: list[Any] = [Gateway]
    while todo:
        annotation = todo.pop()
        if is_model(annotation):
            names |= fields_of(annotation).keys()
            todo += (field.annotation for field in fields_of(annotation).values())
        else:
            todo += get_args(annotation)
    return frozenset(names)
