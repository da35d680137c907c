"""Redirects by family, with the address by which a server in the client's own network knows the gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.redirects import RedirectSpec
from nvi_operator.language.model.services import PortRange
from nvi_operator.language.model.values import FAMILIES, Address, Family
from nvi_operator.topology.interfaces import Inside, Uplink
from nvi_operator.topology.notes import Note
from nvi_operator.topology.prefixes import fewest
from nvi_operator.topology.rules import Beside, Conditions, RedirectRule


def resolve_redirects(
    spec: GatewaySpec,
    inside_interfaces: Sequence[Inside],
    local: Sequence[tuple[str, Address]],
    note: Note,
) -> tuple[RedirectRule, ...]:
    """Redirects by name, IPv4 before IPv6."""
    return tuple(
        rule
        for name, redirect in sorted(spec.redirects.items())
        for family in FAMILIES
        if (rule := _rule(name, redirect, family, inside_interfaces, local, note)) is not None
    )


def left_alone(spec: GatewaySpec, inside_interfaces: Sequence[Inside], uplinks: Sequence[Uplink]) -> Iterator[str]:
    """Notes about what goes where it is sent, because a redirect has no server of its family. To refuse it would also
    hit what the server itself asks, by an address of that family which nothing tells.
    """
    for name, redirect in sorted(spec.redirects.items()):
        for family in FAMILIES:
            if redirect.is_to_self or redirect.server(family) or not any(family in u.families for u in uplinks):
                continue
            asking = [i for i in inside_interfaces if not redirect.in_ or i.interface.ifname in redirect.in_]
            sources = redirect.from_ or fewest((n for i in asking for n in i.networks), family)
            if not any(n.version == family for n in sources) or _is_served(spec, redirect, family):
                continue
            others = ", ".join(str(n) for i in asking for n in i.networks if n.version != family)
            yield (
                f"redirect {name}: no IPv{family} server: {', '.join(map(str, redirect.ports))} over IPv{family} "
                f"goes where it is sent: name one in `to`, or write from: [{others}]: about IPv{10 - family} only"
            )


def _is_served(spec: GatewaySpec, redirect: RedirectSpec, family: Family) -> bool:
    """Does another redirect, with a server of that family, take its packets?"""
    return any(
        (other.is_to_self or other.server(family))
        and set(redirect.ports) <= set(other.ports)
        and (not other.in_ or (redirect.in_ and set(redirect.in_) <= set(other.in_)))
        for other in spec.redirects.values()
    )


def _rule(
    name: str,
    redirect: RedirectSpec,
    family: Family,
    inside_interfaces: Sequence[Inside],
    local: Sequence[tuple[str, Address]],
    note: Note,
) -> RedirectRule | None:
    target = redirect.server(family)
    if target is None and not redirect.is_to_self:
        return None
    homes = [i for i in inside_interfaces if target and any(target.address in n for n in i.of_family(family))]
    named = [i for i in inside_interfaces if i.interface.ifname in (redirect.in_ or ())]
    tenant = next((i.tenant for i in homes if i in named or not redirect.in_), homes[0].tenant if homes else 0)
    asking = named or [i for i in inside_interfaces if not tenant or i.tenant == tenant]
    networks = fewest((n for i in asking for n in i.networks), family)
    sources = tuple(n for n in redirect.from_ or networks if n.version == family)
    if not sources:
        return None
    ifnames = tuple(i.interface.ifname for i in asking) if redirect.in_ or tenant else ()
    conditions = Conditions(family, sources, (), ifnames, services=redirect.ports)
    spared = tuple(n for n in redirect.except_ or () if n.version == family)
    if isinstance(redirect.to, tuple):
        assert target is not None
        beside = tuple(_beside(name, homes, asking, family, local, note))
        own = fewest([*spared, ip_network(target.address)], family)
        return RedirectRule(name, conditions, target.address, _port(target.ports), own, spared, tenant, beside)
    return RedirectRule(name, conditions, None, _port(redirect.to), spared, spared, tenant)


def _port(ports: PortRange | None) -> int | None:
    return ports.first if ports else None


def _beside(
    name: str,
    homes: Sequence[Inside],
    asking: Sequence[Inside],
    family: Family,
    local: Sequence[tuple[str, Address]],
    note: Note,
) -> Iterator[Beside]:
    """The interfaces behind which both clients and the server live, with the gateway's address there.

    Resolvers refuse strangers: with the asked address as its source, as a hairpin has it, a query would be one.
    """
    for inside in homes:
        if inside not in asking:
            continue
        ifname = inside.interface.ifname
        own = next((a for i, a in local if i == ifname and any(a in n for n in inside.of_family(family))), None)
        if own is not None:
            yield Beside(inside, own)
        elif inside.interface.ifindex is not None:
            note(
                f"redirect {name}: {ifname} has no IPv{family} address in its networks now: the server sees the "
                "address that a client asked as its source, and may refuse it"
            )
