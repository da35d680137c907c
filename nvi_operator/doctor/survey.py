"""What was found on a machine: the input of every check. Gathered by `kernel/inspect/survey.py`. Pure.

It holds foreign and owned state: the numbers in the spec tell which is which, so the checks decide. Only the
owned nft table is left out, because listing it could take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Any, Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.ruleset import Ruleset, parse_ruleset
from nvi_operator.kmod.facts import ModuleFacts
from nvi_operator.language.model.values import Family, Network
from nvi_operator.nft.wire.tables import IngressChain, NftTableFact
from nvi_operator.topology.facts import WIDE, ForeignRule, LinkFact
from nvi_operator.topology.numbers import table_name

# yes: one was made and removed again; loadable: its module is installed; unknown: it could not be tried.
CanMake = Literal["yes", "loadable", "no", "unknown"]

ALL_ONES = 0xFFFFFFFF


@dataclass(frozen=True)
class RuleFact:
    """One FIB rule, owned or foreign. `protocol` tells its maker (RTPROT_*)."""

    family: Family
    priority: int
    action: str = "lookup"
    table: int | None = None
    goto: int | None = None
    protocol: int = 0
    inverted: bool = False
    iif: str | None = None
    oif: str | None = None
    source: str | None = None
    destination: str | None = None
    mark: int | None = None
    mask: int | None = None
    suppress_prefix_length: int | None = None
    l3mdev: bool = False
    other: tuple[str, ...] = ()  # further selectors: tos, uidrange, ipproto, ports, tun_id

    def __str__(self) -> str:
        """The rule as `ip rule add` takes it."""
        words = [f"pref {self.priority}"] + (["not"] if self.inverted else [])
        words.append(f"from {self.source or 'all'}")
        for name, value in (("to", self.destination), ("iif", self.iif), ("oif", self.oif)):
            words += [f"{name} {value}"] if value else []
        if self.mark is not None:
            words.append(f"fwmark {self.mark:#x}" + ("" if self.mask == ALL_ONES else f"/{self.mask:#x}"))
        words += [*self.other]
        if self.l3mdev:
            words.append("l3mdev")
        elif self.action == "lookup":
            words.append(f"lookup {self.table if self.table is None else table_name(self.table)}")
        else:
            words.append(f"goto {self.goto}" if self.action == "goto" else self.action)
        if self.suppress_prefix_length is not None:
            words.append(f"suppress_prefixlength {self.suppress_prefix_length}")
        return " ".join(words)

    @property
    def command(self) -> str:
        return "ip -6 rule" if self.family == 6 else "ip rule"

    @property
    def selects(self) -> bool:
        """Does it select only some packets? A negated mark selects nearly all."""
        narrow = self.iif or self.oif or self.source or self.destination or self.other or self.l3mdev
        return bool(narrow) or (self.mark is not None and not self.inverted)


@dataclass(frozen=True)
class RouteUse:
    """There are routes of this protocol in this table."""

    family: Family
    table: int
    protocol: int


@dataclass(frozen=True)
class RouteFact:
    """A unicast route of `main` other than a default route, owned or foreign."""

    destination: Network
    ifname: str

    @property
    def wide(self) -> bool:
        return self.destination.prefixlen <= WIDE[self.destination.version]


@dataclass(frozen=True)
class MultipathFact:
    """A route of `main` with several next hops: their interfaces in the kernel's order."""

    destination: Network
    ifnames: tuple[str, ...]


@dataclass(frozen=True)
class FilterFact:
    """One tc filter of clsact, owned or foreign. Those of one place are in the order in which they run."""

    ifname: str
    place: Literal["ingress", "egress"]
    preference: int
    kind: str
    own: bool = False
    verdicts: frozenset[int | None] = frozenset()  # TC_ACT_*; None: decided by a program or the kernel at run time


@dataclass(frozen=True)
class TcxFact:
    """An eBPF program at tcx, which runs before all tc filters and may hide packets from them.

    `behind`: the gateway's guard at that place runs before it.
    """

    ifname: str
    place: Literal["ingress", "egress"]
    program: str  # its name and number
    behind: bool = False


@dataclass(frozen=True)
class Binding:
    """The Python bindings of nftables. `library`: the version of the libnftables that they load."""

    library: str | None = None
    package: str | None = None
    error: str = ""


@dataclass(frozen=True)
class Networkd:
    """systemd-networkd runs in this namespace; may it delete rules and routes that it did not make?"""

    deletes_rules: bool
    deletes_routes: bool


@dataclass(frozen=True)
class NetworkdLink:
    """An interface that systemd-networkd configures, by this file."""

    ifname: str
    file: str
    keeps: bool  # KeepConfiguration: addresses that it did not make stay
    addresses: frozenset[IPv4Address | IPv6Address] = frozenset()


@dataclass(frozen=True)
class Survey:
    """One machine, in one network namespace."""

    kernel: str = ""
    capabilities: frozenset[str] = frozenset()
    nft_version: str | None = None
    nft_objects: tuple[Mapping[str, Any], ...] = ()  # as in `nft -j list ruleset`, without the owned table
    nft_tables: tuple[NftTableFact, ...] = ()  # the same tables, with their flags from the kernel
    nft_ingress: tuple[IngressChain, ...] = ()
    nft_failures: tuple[str, ...] = ()  # what could not be listed, and why
    binding: Binding | None = field(default_factory=Binding)  # None: not tried
    refused: tuple[str, ...] = ()  # rights that a reconcile needs, except those for eBPF, and why they are refused
    bpf_error: str | None = None  # None: a program could be loaded, and found by its number
    kinds: Mapping[str, CanMake] = field(default_factory=lambda: MappingProxyType({}))
    module: ModuleFacts = field(default_factory=ModuleFacts)
    conntrack: bool = False
    conntrack_functions: bool = False  # can a program ask conntrack about a flow?
    conntrack_max_is_settable: bool = True  # may this network namespace set nf_conntrack_max?
    forward_policies: int = 0  # IPsec policies for forwarded packets
    policies: int = 0  # these, and those for what is sent
    rules: tuple[RuleFact, ...] = ()
    foreign_rules: tuple[ForeignRule, ...] = ()  # with the tables that they lead to
    routes: tuple[RouteUse, ...] = ()
    main_routes: tuple[RouteFact, ...] = ()  # all that are wide, and some dozens more of each interface
    multipath: tuple[MultipathFact, ...] = ()  # some dozens of them
    refuses: frozenset[Family] = frozenset()  # families whose default route in `main` refuses
    filters: tuple[FilterFact, ...] = ()  # on the gateway's interfaces; without a spec, on the device
    tcx: tuple[TcxFact, ...] = ()  # in the same places
    sysctls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    legacy_tables: tuple[tuple[Family, str], ...] = ()
    networkd: Networkd | None = None
    networkd_links: tuple[NetworkdLink, ...] = ()
    links: Mapping[str, LinkFact] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def ruleset(self) -> Ruleset:
        return parse_ruleset(self.nft_objects, self.nft_tables)
