"""What a gateway would use of a machine: numbers, bits, names. From its spec, or the defaults without one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.doctor.packet import UNNAMED, PartialPacket
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import Family, Network
from nvi_operator.topology.numbers import (
    PRIORITIES,
    TENANT_MASK,
    UPLINK_MASK,
    Priorities,
    own_table,
    routed_table,
    tenant_table,
    uplink_table,
)

_CLIENT_PORT = 50000  # from which Linux and Windows, and what NAT makes of both, may ask


@dataclass(frozen=True)
class Footprint:
    """`networks` is by inside interface; `uplinks` are interfaces. Both are empty without a spec.

    `clients`: inside hosts ask the other side; `servers`: they are asked.
    """

    device: str
    stage: int
    local: int
    marks: int  # every bit of the mark that stage 2 reads
    keep_marks: bool
    priority: int
    table: int
    tables: frozenset[int]
    protocol: int
    link_group: int
    networks: Mapping[str, tuple[Network, ...]]
    uplinks: tuple[str, ...]
    clients: bool
    servers: bool

    @property
    def interfaces(self) -> tuple[str, ...]:
        return tuple(sorted({*self.networks, *self.uplinks}))

    def own_priority(self, priority: int) -> bool:
        last_resort = Priorities(self.priority).local_last_resort
        return self.priority <= priority < self.priority + PRIORITIES or priority == last_resort

    @property
    def bit_match(self) -> str:
        """The nft match that holds in stage 2 only."""
        return f"meta mark & {self.stage:#010x} != 0"

    def forwarded(self, family: Family, *, unknown: bool = False) -> Iterator[PartialPacket]:
        """Every kind of packet of the gateway that the forward and postrouting hooks see.

        With `unknown` these are all packets that it may forward, otherwise TCP alone. Without a spec the interfaces
        are unknown as well, or such as no rule names.
        """
        unnamed = None if unknown else UNNAMED
        protocol = None if unknown else "tcp"
        inside_interfaces = tuple(self.networks) or (unnamed,)
        uplinks = self.uplinks or (unnamed,)
        for ifname in inside_interfaces:
            for state in ("new", "established"):
                yield self._packet(family, 1, ifname, self.device, state, protocol)
        for ifname in uplinks:
            yield self._packet(family, 1, ifname, self.device, "established", protocol)
        for inside in inside_interfaces:
            for uplink in uplinks:
                for iif, oif, replies in ((inside, uplink, self.servers), (uplink, inside, self.clients)):
                    port = _CLIENT_PORT if replies and not unknown else None
                    packet = self._packet(family, 2, iif, oif, "untracked", protocol)
                    yield replace(packet, destination_port=port)

    def received(self, family: Family, *, unknown: bool = False) -> Iterator[PartialPacket]:
        """The packets at the prerouting hook, as `forwarded`."""
        unnamed = None if unknown else UNNAMED
        protocol = None if unknown else "tcp"
        for ifname in self.networks or (unnamed,):
            for state in ("new", "established"):
                yield self._packet(family, 1, ifname, None, state, protocol)
            yield self._packet(family, 2, ifname, None, "untracked", protocol)
        for ifname in self.uplinks:
            yield self._packet(family, 1, ifname, None, "established", protocol)
            yield self._packet(family, 2, ifname, None, "untracked", protocol)

    def _packet(
        self,
        family: Family,
        stage: Literal[1, 2],
        iif: str | None,
        oif: str | None,
        state: str,
        protocol: str | None,
    ) -> PartialPacket:
        from_inside = iif in self.networks or not self.networks
        return PartialPacket(
            family,
            stage,
            self.device,
            self.stage,
            iif,
            oif,
            state,
            protocol,
            dnat=False if protocol and state == "new" else None,
            sources=self.networks.get(iif) if iif and stage == 1 else None,
            # A translated source is an address of the gateway: no route leads to it by where the packet came in.
            reverse_path=False if stage == 2 and from_inside else None,
        )


def footprint(spec: GatewaySpec | None) -> Footprint:
    given = spec if spec is not None else GatewaySpec()
    tenants = {i.tenant for i in given.interfaces.values() if i.tenant}
    first = given.numbers.table
    slots = len(given.uplinks) if spec is not None else 8
    stage, local = 1 << given.dataplane.stage_bit, 1 << given.dataplane.local_bit
    # Source prefixes past a few dozen are chosen by mark; how many there are is known at apply only.
    return Footprint(
        device=given.dataplane.device,
        stage=stage,
        local=local,
        marks=stage | local | (TENANT_MASK | UPLINK_MASK if tenants else 0),
        keep_marks=given.dataplane.keep_marks,
        priority=given.numbers.rule_priority,
        table=first,
        tables=frozenset(
            [
                first,
                routed_table(first),
                *(uplink_table(first, slot) for slot in range(1, slots + 1)),
                *(own_table(first, slot) for slot in range(1, slots + 1)),
                *(tenant_table(first, number) for number in range(1, len(tenants) + 1)),
            ]
        ),
        protocol=given.numbers.protocol,
        link_group=given.numbers.link_group,
        networks={ifname: interface.networks for ifname, interface in sorted(given.interfaces.items())},
        uplinks=tuple(sorted({uplink.interface for uplink in given.uplinks.values()})),
        clients=bool(given.source_nat or given.static),
        servers=bool(given.forwards or given.static),
    )
