"""The document that a user writes: read `Gateway` first.

Every model is frozen and refuses unknown fields. Checks that need one value only are in `values.py` and
`services.py`, those that need one entry in the entry's model, those that need the whole gateway in `check/`.
Forwards, 1:1 and twice NAT, which a gateway may have by the ten thousand, are in `nat_entries.py`.
No field is a mark, a table number or a rule priority, save in `Numbers`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nvi_operator.language.model.address_sets import SelectedNetworks, SetOrNetworks
from nvi_operator.language.model.assertions import Assertion
from nvi_operator.language.model.base import Entry, Model
from nvi_operator.language.model.checks import Check
from nvi_operator.language.model.drift import DRIFT_SCHEMA, DriftPolicy, parse_drift
from nvi_operator.language.model.fields import (
    Addresses,
    EntryFiles,
    HostNames,
    IfName,
    IfNames,
    Maybe,
    Name,
    OrShort,
    SpecMark,
    VariableValue,
)
from nvi_operator.language.model.interfaces import InterfaceSpec, UplinkSpec
from nvi_operator.language.model.nat_entries import Forward, Static, TwiceNat
from nvi_operator.language.model.order import OneOrOrder
from nvi_operator.language.model.prefixes import PrefixNat
from nvi_operator.language.model.redirects import RedirectSpec
from nvi_operator.language.model.settings import Dataplane, Guards, Numbers
from nvi_operator.language.model.source_nat import SourceNat
from nvi_operator.language.model.validators import BeforeValidator, Later


class RouteExceptions(Model):
    """Packets that a route is not about: each of these that matches takes a packet out of it."""

    from_: Maybe[SelectedNetworks] = Field(None, alias="from", description="Source prefixes, after translation.")
    to: Maybe[SelectedNetworks] = Field(None, description="Destination prefixes, after translation.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.from_ or self.to):
            raise ValueError("give at least one of from and to")
        return self


class RouteSpec(Entry):
    """Stage-2 routing beyond 'the uplink of the translated source'. The first that matches wins.

    What is for an inside network stays there, unless `to` names it or a part of it.
    Routes without `in` lead what the gateway itself sends as well, with the uplink's address, where its program has
    bound it to no address. Bound to an uplink's address it takes that uplink, and what goes to connected networks
    keeps to them.
    """

    name: Name = Field(description="Its name in diffs and messages.")
    from_: Maybe[SelectedNetworks] = Field(None, alias="from", description="Source prefixes, after translation.")
    to: Maybe[SelectedNetworks] = Field(None, description="Destination prefixes, after translation.")
    in_: Maybe[IfNames] = Field(
        None, alias="in", description="Interfaces that the packet came in by; `self`: what the gateway itself sends."
    )
    mark: Maybe[SpecMark] = Field(
        None,
        description="Mark of another program, as in 0x10, or 0x10/0xff to compare some bits; packets of inside hosts "
        "have one only with `dataplane.keepMarks`.",
    )
    except_: Maybe[RouteExceptions] = Field(
        None, alias="except", description="What the route is not about; such packets go on to the next one."
    )
    via: OneOrOrder = Field(
        description="The uplink to take; or several by preference, as in `{first: [isp-a, isp-b]}`: the first that "
        "works."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.from_ or self.to or self.in_ or self.mark):
            raise ValueError("give at least one of from, to, in and mark")
        return self


class GatewaySpec(Model):
    """What one gateway does."""

    host: Maybe[HostNames] = Field(None, description="Hostnames of the gateway; `any`, or left out: every host.")
    vars: dict[Name, VariableValue] = Field(
        default_factory=dict,
        description="Variables, by name: `${name}` stands for the value, in the spec's YAML and in that of hosts.",
    )
    dataplane: Dataplane = Field(default_factory=Dataplane)
    address_sets: dict[Name, SetOrNetworks] = Field(
        default_factory=dict,
        description="Addresses by name, as in `office: [192.0.2.0/24, 2001:db8::/48]`. The name may stand wherever a "
        "condition has prefixes: in `from`, `to` and `except` of rules, routes, forwards, redirects, 1:1 NAT and "
        "assertions.",
    )
    numbers: Numbers = Field(default_factory=Numbers)
    guards: Guards = Field(default_factory=Guards)
    interfaces: dict[IfName, InterfaceSpec] = Field(
        default_factory=dict,
        description="Interfaces that take part in NAT, by name. Uplinks do so by themselves.",
    )
    uplinks: dict[Name, UplinkSpec] = Field(default_factory=dict, description="Ways out, by name.")
    default_uplink: Maybe[OneOrOrder] = Field(
        None,
        description="The default uplink, in place of `default` of one uplink; or several by preference, as in "
        "`{first: [isp-a, isp-b]}`: the first that works. The gateway's own packets take it as well, unless the "
        "default route of `main` leads elsewhere than by an uplink.",
    )
    stranded_flows: Literal["end", "keep"] = Field(
        "end",
        description="What becomes of flows whose translation leads nowhere any more, where a new one would work: "
        "their uplink does not work and another does, their address is no uplink's any more, or their forward is "
        "removed or moved. Also of those that no one answered because there was no forward or rule for them "
        "when they began, once there is one. end: their conntrack entries are deleted, and the next packet begins "
        "again. keep: they stay.",
    )
    failback: Literal["keep", "move"] = Field(
        "keep",
        description="What becomes of flows on an uplink that works, when one that is preferred works again. keep: "
        "they stay where they are, and new flows go back. move: they are ended as strandedFlows says.",
    )
    drift: Annotated[DriftPolicy, BeforeValidator(parse_drift), OrShort(DRIFT_SCHEMA)] = Field(
        default_factory=DriftPolicy,
        description="What becomes of objects that another process changes. Left out: they are put right at once.",
    )
    source_nat: tuple[SourceNat, ...] = Field(
        (), strict=False, description="Source NAT; the first rule that matches wins."
    )
    forwards: dict[Name, Forward] = Field(default_factory=dict, description="Destination NAT, by name.")
    forwards_from: Maybe[EntryFiles] = Field(
        None, description="Files with more forwards, in CSV or JSON Lines, beside this file or below."
    )
    redirects: dict[Name, Later[RedirectSpec]] = Field(
        default_factory=dict,
        description="Services that inside hosts get in place of those that they ask for, such as a resolver; by "
        "name.",
    )
    static: dict[Name, Later[Static]] = Field(default_factory=dict, description="1:1 NAT, by name.")
    static_from: Maybe[EntryFiles] = Field(
        None, description="Files with more 1:1 NAT, in CSV or JSON Lines, beside this file or below."
    )
    prefix_nat: dict[Name, Later[PrefixNat]] = Field(
        default_factory=dict,
        description="IPv6 prefixes that are known by one prefix of each of several uplinks, by name.",
    )
    twice_nat: dict[Name, Later[TwiceNat]] = Field(default_factory=dict, description="Twice NAT, by name.")
    twice_nat_from: Maybe[EntryFiles] = Field(
        None, description="Files with more twice NAT, in CSV or JSON Lines, beside this file or below."
    )
    routes: tuple[Later[RouteSpec], ...] = Field(
        (), strict=False, description="Stage-2 routing; the first route that matches wins."
    )

    checks: dict[Name, Later[Check]] = Field(
        default_factory=dict,
        description="What has to work after a change that worked before it, by name. If it does not, the gateway "
        "returns to the revision that was confirmed last.",
    )
    protect: Maybe[Addresses] = Field(
        None,
        description="Addresses that the gateway has to go on reaching, such as that of a bastion: a change after "
        "which no route leads to one that it reaches now is refused.",
    )
    assert_: tuple[Later[Assertion], ...] = Field(
        (),
        alias="assert",
        strict=False,
        description="What has to hold of packets, whatever the rest of the spec says.",
    )

    @property
    def wires(self) -> frozenset[str]:
        """The interfaces of uplinks."""
        return frozenset(uplink.interface for uplink in self.uplinks.values())

    @property
    def has_probes(self) -> bool:
        """Does it probe an uplink, or a server of a forward?"""
        return any(u.health for u in self.uplinks.values()) or any(f.health for f in self.forwards.values())

    @property
    def asks_for_flow_cache(self) -> bool:
        return self.dataplane.flow_cache != "off"


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
