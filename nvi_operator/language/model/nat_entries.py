"""Models of what a gateway may have by the ten thousand: forwards, 1:1 NAT, twice NAT.

Dataclasses with slots, because a pydantic model of seven fields takes five times the memory. pydantic validates them
all the same; `fast/fast_entries.py` builds them from fields that were validated one by one. Either way
`__post_init__` sees what one field cannot.
"""

import operator
from collections.abc import Collection, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.address_sets import SelectedNetworks
from nvi_operator.language.model.base import DESCRIPTION, ENABLED
from nvi_operator.language.model.fields import (
    Dscps,
    FamilyNetworks,
    IfNames,
    Maybe,
    Name,
    OrShort,
    Protocols,
    Services,
    SpecMark,
    UplinksOrAddresses,
)
from nvi_operator.language.model.health import SERVER_HEALTH_SCHEMA, ServerHealth, parse_server_health
from nvi_operator.language.model.servers import Pick, Servers
from nvi_operator.language.model.services import (
    FAMILY_OF_PROTOCOL,
    PORT_PROTOCOLS,
    Target,
    check_protocols,
)
from nvi_operator.language.model.validators import BeforeValidator, Later
from nvi_operator.language.model.values import Network, check_hosts, within
from nvi_operator.language.wording import HintedError, counted

LONGEST_NEUTRAL = 48  # prefix in which RFC 6296 adjusts the subnet number (section 3.4)

_CONFIG = ConfigDict(extra="forbid", serialize_by_alias=True)


# --------------------------------------------------------------------------- destination NAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Destination NAT: what arrives for a public address (and port) goes to a server inside."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    at: Annotated[
        Maybe[UplinksOrAddresses],
        Field(
            description="Uplinks (by name) or public addresses that it is published on. A name stands for the "
            "uplink's address, one of each family; write others themselves. Left out: every uplink by its name."
        ),
    ] = None
    ports: Annotated[
        Maybe[Services],
        Field(
            description="Public ports with protocol, as in 443/tcp. Left out, and `protocol` as well: everything "
            "sent to the address."
        ),
    ] = None
    protocol: Annotated[
        Maybe[Protocols],
        Field(
            description="Protocols without ports, by name or number, as in gre, esp or 41; alone or beside `ports`, "
            "as a tunnel has both. AH fails behind any NAT: it signs the addresses. Two clients that send ESP, or "
            "GRE, from one address to one server are one flow to the kernel."
        ),
    ] = None
    to: Annotated[
        Servers,
        Field(
            description="The server; or several, of one family each its own, or a mapping server: weight to balance."
        ),
    ]
    pick: Annotated[
        Pick,
        Field(
            description="How one of several servers is chosen. hash, or client: by the client's address; a client "
            "keeps its server whatever else changes; where a server is added or removed, only its share moves. "
            "client-port: by address and port, where the protocol has ports. random, round-robin: each connection by "
            "itself."
        ),
    ] = "hash"
    tenant: Annotated[Maybe[Name], Field(description="The tenant in which the server lives.")] = None
    from_: Annotated[
        Maybe[SelectedNetworks], Field(alias="from", description="Only for clients of these prefixes.")
    ] = None
    from_ports: Annotated[
        Maybe[Services],
        Field(
            alias="fromPorts",
            description="Only what clients send from these ports, with protocol, as in 500/udp; of the same "
            "protocols as `ports`, where both are given.",
        ),
    ] = None
    dscp: Annotated[
        Maybe[Dscps],
        Field(description="Only for flows whose first packet has such a DSCP, by name or number, as in ef or 46."),
    ] = None
    mark: Annotated[
        Maybe[SpecMark],
        Field(
            description="Only for flows whose first packet has this mark of another program, as in 0x10, or "
            "0x10/0xff to compare some bits."
        ),
    ] = None
    except_: Annotated[
        Maybe[SelectedNetworks], Field(alias="except", description="Not for clients of these prefixes.")
    ] = None
    hairpin: Annotated[bool, Field(strict=True, description="Does it work from inside as well?")] = True
    health: Annotated[
        Maybe[Later[ServerHealth]],
        BeforeValidator(parse_server_health),
        OrShort(SERVER_HEALTH_SCHEMA),
        Field(
            description="Probes of the servers; `nvictl run` sends them. A server that is down takes no new flows; "
            "where none works, the one that failed last stays. Left out: each takes its share."
        ),
    ] = None
    description: Annotated[str, Field(strict=True, description=DESCRIPTION)] = ""
    enabled: Annotated[bool, Field(strict=True, description=ENABLED)] = True

    def __post_init__(self) -> None:
        check_protocols(self.ports, self.from_ports)
        for protocol in self.protocol or ():
            self._check_protocol(protocol)
        if self.health and self.health.by == "tcp" and self.probed_port(self.to[0]) is None:
            raise ValueError("health tcp: the forward names no tcp port: give the health a `port`")
        for target in self.to:
            if target.ports is None:
                continue
            if not self.ports:
                raise ValueError(f"{target} names a port, but no public ports are given")
            for service in self.ports:
                if service.ports.size != target.ports.size:
                    raise ValueError(
                        f"{service} is {counted(service.ports.size, 'port')} and {target} is {target.ports.size}: "
                        "ranges must be of equal size"
                    )

    @property
    def is_limited(self) -> bool:
        """Is it only for some of the packets that are sent to its public ports?"""
        return bool(self.from_ or self.from_ports or self.dscp or self.mark or self.except_)

    @property
    def is_of_everything(self) -> bool:
        """Is it of whatever is sent to the address?"""
        return not self.ports and not self.protocol

    def _check_protocol(self, protocol: str) -> None:
        if protocol in PORT_PROTOCOLS:
            hint = f"write `ports: 1-65535/{protocol}` for all of them"
            raise HintedError(f"protocol {protocol} has ports", hint)
        if protocol == "ah":
            raise HintedError("ah fails behind a forward: it signs the addresses", "let the tunnel use ESP")
        if self.from_ports:
            raise HintedError(f"fromPorts: {protocol} has no ports", "write a second forward for it")
        family = FAMILY_OF_PROTOCOL.get(protocol)
        if family and all(target.address.version != family for target in self.to):
            raise ValueError(f"protocol {protocol} is IPv{family}, and no server is")

    def probed_port(self, server: Target) -> int | None:
        """The port at which a server is asked: the first by TCP that it is sent to, where `health` names no other."""
        if self.health and self.health.port:
            return self.health.port
        by_tcp = next((service.ports.first for service in self.ports or () if service.protocol == "tcp"), None)
        return server.ports.first if by_tcp and server.ports else by_tcp


# --------------------------------------------------------------------------- static and twice NAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """1:1 NAT of an address or a prefix, in both directions.

    What follows the prefix stays as it is (netmap), in IPv6 as well: subnet number and interface identifier. RFC
    6296 would change one of them; see `nptv6`. Without `to` it applies to all traffic but that from one inside
    network to another.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    address: Annotated[FamilyNetworks, Field(description="The real address or prefix; one of each family.")]
    as_: Annotated[FamilyNetworks, Field(alias="as", description="What it is known as; of the same size.")]
    to: Annotated[
        Maybe[SelectedNetworks],
        Field(
            description="Only for what is sent to these prefixes, and for what comes from them. Such an entry is "
            "matched before those without, and before the rules for inside networks."
        ),
    ] = None
    in_: Annotated[
        Maybe[IfNames],
        Field(
            alias="in",
            description="Only for what comes in by these interfaces, and for what is sent to the networks behind "
            "them. So `as` may stand for other hosts at other interfaces, and two sites with equal addresses need "
            "only one alias, under which each knows the other. Such an entry is matched first.",
        ),
    ] = None
    except_: Annotated[
        Maybe[SelectedNetworks],
        Field(
            alias="except",
            description="Parts of `address`, or of `as`, that stay out of it. An uplink's own address within a "
            "prefix stays the gateway's without being named.",
        ),
    ] = None
    nptv6: Annotated[
        bool,
        Field(
            strict=True,
            description="Translate IPv6 prefixes of up to /48 as RFC 6296 (ip6tables' SNPT, DNPT) does: the subnet "
            "number changes so that checksums do not, and hosts have the addresses that such a box gave them. It is "
            "for the networks that interfaces declare.",
        ),
    ] = False
    tenant: Annotated[Maybe[Name], Field(description="The tenant that it lives in.")] = None
    description: Annotated[str, Field(strict=True, description=DESCRIPTION)] = ""
    enabled: Annotated[bool, Field(strict=True, description=ENABLED)] = True

    def __post_init__(self) -> None:
        pairs = _same_families_and_sizes(self.address, self.as_, "address", "as")
        if self.nptv6 and not any(real.version == 6 and real.prefixlen <= LONGEST_NEUTRAL for real, _ in pairs):
            raise ValueError(
                f"nptv6 needs an IPv6 prefix of at most /{LONGEST_NEUTRAL}: in longer ones RFC 6296 changes the "
                "interface identifier of each host"
            )
        if self.to and not (families := {n.version for n in self.to}) & {real.version for real, _ in pairs}:
            raise ValueError(f"address {self.address[0]} and to {self.to[0]} mix IPv4 and IPv6: {_other(families)}")
        for real in self.address:
            check_hosts(real, "address")
        for part in self.except_ or ():
            whole = [network for pair in pairs for network in pair if within(part, network)]
            if not whole:
                raise ValueError(f"except {part} is in neither address nor as")
            if any(part.prefixlen == network.prefixlen for network in whole):
                raise ValueError(f"except {part} is all of {whole[0]}")

    @property
    def pairs(self) -> tuple[tuple[Network, Network], ...]:
        """(address, as) of each family."""
        return _paired(self.address, self.as_)


def _other(families: Collection[int]) -> str:
    return f"name IPv{10 - min(families)} prefixes in to"


class OneTwice(NamedTuple):
    """Twice NAT of one family."""

    from_: Network
    as_: Network
    to: Network
    becomes: Network
    via: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TwiceNat:
    """Source and destination of the same flow are translated, so that networks with equal addresses can talk.

    A packet from `from` to `to` goes on as one from `as` to `becomes`, through `via`. Where `becomes` overlaps an
    inside network, publish no forward at an address of `as`: its hairpins look like packets to the other side, and go
    there.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    from_: Annotated[
        FamilyNetworks, Field(alias="from", description="The real addresses on the inside; a prefix of each family.")
    ]
    as_: Annotated[FamilyNetworks, Field(alias="as", description="What the other side knows them as.")]
    to: Annotated[FamilyNetworks, Field(description="What the inside knows the other side as.")]
    becomes: Annotated[FamilyNetworks, Field(description="The real addresses on the other side.")]
    via: Annotated[Name, Field(description="The uplink that leads there.")]
    opens: Annotated[
        Literal["us", "both"],
        Field(
            description="Who may open connections: us, inside hosts only; both, also hosts of `becomes`, to "
            "addresses of `as`."
        ),
    ] = "both"
    description: Annotated[str, Field(strict=True, description=DESCRIPTION)] = ""
    enabled: Annotated[bool, Field(strict=True, description=ENABLED)] = True

    def __post_init__(self) -> None:
        near = _same_families_and_sizes(self.from_, self.as_, "from", "as")
        far = _same_families_and_sizes(self.to, self.becomes, "to", "becomes")
        for network in self.to:
            if not network.prefixlen:
                raise ValueError(f"to {network} is every address: name those of the other side")
        if [real.version for real, _ in near] != [alias.version for alias, _ in far]:
            raise ValueError(f"from {_all(self.from_)} and to {_all(self.to)} mix IPv4 and IPv6")
        for network in self.from_:
            check_hosts(network, "from")
        for network in self.becomes:
            check_hosts(network, "becomes")

    @property
    def families(self) -> tuple[OneTwice, ...]:
        """The entry, family by family."""
        halves = zip(_paired(self.from_, self.as_), _paired(self.to, self.becomes), strict=True)
        return tuple(OneTwice(*near, *far, self.via) for near, far in halves)


_Pairs = tuple[tuple[Network, Network], ...]


def _paired(left: Sequence[Network], right: Sequence[Network]) -> _Pairs:
    """Pairs by family, IPv4 first."""
    if len(left) == 1:
        return ((left[0], right[0]),)
    key = operator.attrgetter("version")
    return tuple(zip(sorted(left, key=key), sorted(right, key=key), strict=True))


def _same_families_and_sizes(
    left: Sequence[Network], right: Sequence[Network], left_name: str, right_name: str
) -> _Pairs:
    if len(left) == len(right) == 1:  # nearly always, and there may be 100,000
        versions_differ = left[0].version != right[0].version
    else:
        versions_differ = sorted(n.version for n in left) != sorted(n.version for n in right)
    if versions_differ:
        raise ValueError(f"{left_name} {_all(left)} and {right_name} {_all(right)} mix IPv4 and IPv6")
    pairs = _paired(left, right)
    for one, other in pairs:
        if one.prefixlen != other.prefixlen:
            raise ValueError(f"{left_name} {one} and {right_name} {other} are not of the same size")
    return pairs


def _all(networks: Sequence[Network]) -> str:
    return ", ".join(map(str, networks))
