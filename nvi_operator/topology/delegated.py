"""The prefixes that ISPs delegate to this gateway now, and what the spec makes of them. Pure.

Whatever client asked for them (systemd-networkd, dhcpcd) put an unreachable route of the whole prefix into `main`, so
that nothing unused is sent back; of a /64 only the network on an inside interface tells. Neither says which ISP it is
of: a lease of dhcpcd does, or else the ISP's own prefix that the spec names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.nat_entries import Static
from nvi_operator.language.model.one_to_one import pieces
from nvi_operator.language.model.prefixes import LENGTH_OF_NETWORK, SubPrefix
from nvi_operator.language.model.values import Network, within
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.interfaces import Uplink
from nvi_operator.topology.notes import Note
from nvi_operator.topology.rules import StaticEntry


@dataclass(frozen=True)
class Delegated:
    """By the name of its uplink, each prefix that is delegated. Of several the first is one that inside interfaces
    have addresses in, which is the newer one where a client leaves the route of the old one, and else the largest.
    """

    of: Mapping[str, tuple[Network, ...]]

    def part(self, sub: SubPrefix, length: int | None = None) -> Network | None:
        """The part of the first prefix. None where there is none now, or it does not fit."""
        return next((_part(whole, sub, length) for whole in self.of.get(sub.from_, ())), None)

    def parts(self, sub: SubPrefix) -> tuple[Network, ...]:
        """The part of each: hosts keep old addresses for a while. None where it does not fit into the first."""
        found = [_part(whole, sub) for whole in self.of.get(sub.from_, ())]
        return tuple(network for network in found if network) if found and found[0] else ()


def _part(whole: Network, sub: SubPrefix, length: int | None = None) -> Network | None:
    length = sub.length or length or LENGTH_OF_NETWORK
    if whole.prefixlen > length or sub.subnet >> length - whole.prefixlen:
        return None
    first = int(whole.network_address) + (sub.subnet << whole.max_prefixlen - length)
    return ip_network((first, length)) if whole.version == 6 else None


def find_delegated(spec: GatewaySpec, facts: Facts, note: Note) -> Delegated:
    asking = {name: uplink for name, uplink in spec.uplinks.items() if uplink.delegated}
    wires = {uplink.interface for uplink in spec.uplinks.values()}
    leased = {prefix: ifname for ifname, prefixes in facts.leased_prefixes.items() for prefix in prefixes}
    inside = [fact for ifname, fact in facts.links.items() if ifname not in wires]
    live = [i.ip for fact in inside for i in fact.addresses if i.version == 6 and i.ip not in fact.fading]

    def order(prefix: Network) -> tuple[bool, bool, int, int]:
        told = prefix in leased or prefix in facts.unreachable
        used = any(address in prefix for address in live)
        return not told, not used, prefix.prefixlen, int(prefix.network_address)

    found: dict[str, tuple[Network, ...]] = {}
    for name, uplink in sorted(asking.items()):
        own = [prefix for prefix, ifname in leased.items() if ifname == uplink.interface]
        others = [prefix for prefix in facts.unreachable if prefix not in leased]
        if uplink.delegated != "auto":
            networks = {i.network for fact in inside for i in fact.addresses}
            others += [n for n in networks if n.version == 6 and not any(within(n, p) for p in others)]
            own += [prefix for prefix in others if within(prefix, uplink.delegated)]  # type: ignore[arg-type]
        elif len(asking) == 1:
            own += others
        elif others and not own:
            note(
                f"uplink {name}: delegated: {others[0]} may be of any of several ISPs: name the prefix that this one "
                "delegates from, in place of auto"
            )
        owners = {prefix: _owner_of_any(prefix, name, spec, found) for prefix in dict.fromkeys(own)}
        for prefix, owner in owners.items():
            if owner is not None:
                note(
                    f"uplink {name}: delegated: {prefix} overlaps what uplink {owner} has, and packets follow their "
                    f"source: {name} does without it; name the prefix that its ISP delegates from"
                )
        found[name] = tuple(sorted((prefix for prefix, owner in owners.items() if owner is None), key=order))
        if not found[name]:
            note(f"uplink {name}: delegated: there is no prefix now; what is to be a part of it waits for one")
    return Delegated(found)


def _owner_of_any(
    prefix: Network, name: str, spec: GatewaySpec, found: Mapping[str, Sequence[Network]]
) -> str | None:
    """Another uplink that has addresses in it. `main` may refuse what is routed here, and no client wrote that."""
    for other, uplink in sorted(spec.uplinks.items()):
        written = () if uplink.addresses == "auto" else uplink.addresses
        others = (*(uplink.routed or ()), *found.get(other, ()))
        if other != name and (any(a in prefix for a in written) or any(prefix.overlaps(n) for n in others)):
            return other
    return None


def delegated_networks(spec: GatewaySpec, delegated: Delegated, note: Note) -> Mapping[str, tuple[Network, ...]]:
    """The networks of inside interfaces that come from delegated prefixes."""
    found: dict[str, tuple[Network, ...]] = {}
    for ifname, interface in spec.interfaces.items():
        parts = [(part, delegated.parts(part)) for part in interface.delegated or ()]
        found[ifname] = tuple(network for _, networks in parts for network in networks)
        for part, networks in parts:
            if not networks and delegated.of.get(part.from_):
                whole = delegated.of[part.from_][0]
                note(f"{ifname}: {part} as a /{part.length or LENGTH_OF_NETWORK} does not fit in {whole}")
    return found


def resolve_prefix_nat(
    spec: GatewaySpec, delegated: Delegated, uplinks: Sequence[Uplink], note: Note
) -> Iterator[StaticEntry]:
    """Each prefix leads to the inside; new flows of the inside leave as the first whose uplink works."""
    own = [ip_network(address) for uplink in uplinks for address in uplink.addresses]
    for name, entry in sorted(spec.prefix_nat.items()):
        known: list[tuple[Network, Uplink | None]] = []
        for item in entry.as_:
            mapped = delegated.part(item, entry.address.prefixlen) if isinstance(item, SubPrefix) else item
            if mapped is not None:
                known.append((mapped, _owner(mapped, uplinks)))
            elif isinstance(item, SubPrefix) and (whole := next(iter(delegated.of.get(item.from_, ())), None)):
                note(f"prefixNat {name}: {item} as a /{entry.address.prefixlen} does not fit in {whole}")
        chosen = next((mapped for mapped, owner in known if owner and owner.is_usable(6)), None)
        chosen = chosen or next((mapped for mapped, _ in known), None)
        for mapped, _ in known:
            static = Static(address=(entry.address,), as_=(mapped,))
            for real, part in pieces(static, own):
                yield StaticEntry(name, real, part, 0, outgoing=mapped == chosen, section="prefixNat")


def _owner(mapped: Network, uplinks: Iterable[Uplink]) -> Uplink | None:
    return next((u for u in uplinks if any(within(mapped, network) for network in u.routed)), None)
