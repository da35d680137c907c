"""Delegated prefixes and prefix NAT: each part is of an uplink that gets one, each prefix an uplink's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nvi_operator.language.check.addresses import (
    AddressSpan,
    Homes,
    Problem,
    declared_networks,
    overlapping,
    own_addresses,
    span_of,
)
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.one_to_one import pieces
from nvi_operator.language.model.prefixes import SubPrefix
from nvi_operator.language.model.values import Network
from nvi_operator.language.wording import listed, nearest


def check_prefixes(spec: GatewaySpec) -> Iterator[Problem]:
    for name, uplink in spec.uplinks.items():
        if uplink.delegated not in (None, "auto") and uplink.delegated.version != 6:  # type: ignore[union-attr]
            message = f"{uplink.delegated} is IPv4: only IPv6 prefixes are delegated"
            yield ("spec", "uplinks", name, "delegated"), message, "name the ISP's IPv6 prefix, or write auto"
    for ifname, interface in spec.interfaces.items():
        for part in interface.delegated or ():
            yield from _known(spec, ("spec", "interfaces", ifname, "delegated"), part)
        if interface.delegated and interface.tenant:
            message = "the networks of a tenant are those that others may have as well, and delegated ones are unique"
            yield ("spec", "interfaces", ifname, "delegated"), message, "leave `tenant` out, or `delegated`"
    homes = Homes(spec) if spec.prefix_nat else None
    for name, entry in spec.prefix_nat.items():
        path: Path = ("spec", "prefixNat", name)
        for item in entry.as_:
            if isinstance(item, SubPrefix):
                yield from _known(spec, (*path, "as"), item)
            elif homes is not None and not (homes.public(item[0]) and homes.public(item[-1])):
                yield (*path, "as"), f"{item} belongs to no uplink", "add it to routed of one"
        for other_name, other_entry in spec.prefix_nat.items():
            if other_name == name:
                break
            if entry.address.overlaps(other_entry.address):
                message = f"{entry.address} overlaps {other_entry.address} of prefixNat {other_name!r}"
                yield (*path, "address"), message, "give all prefixes of it in one entry"
    if spec.prefix_nat:
        yield from _twice(_publics(spec), "as", "give each its own prefix")
        yield from _twice(_reals(spec), "address", "translate it by one of them")


# --------------------------------------------------------------------------- prefixes of two entries


class _Use(NamedTuple):
    section: str
    name: str
    prefix: str


_PART = 64  # of an interface: what `subnet` counts in, where no length is given


def _publics(spec: GatewaySpec) -> Iterator[AddressSpan[_Use]]:
    """What prefixes are known as; parts of what an ISP delegates are numbers of their own for each uplink."""
    isps = {name: number for number, name in enumerate(spec.uplinks, start=100)}  # in place of a family

    def part(use: _Use, item: SubPrefix, length: int) -> AddressSpan[_Use]:
        size = 1 << 128 - (item.length or length)
        return AddressSpan(isps.get(item.from_, 0), item.subnet * size, (item.subnet + 1) * size - 1, 0, use)

    for ifname, interface in spec.interfaces.items():
        for item in interface.delegated or ():
            yield part(_Use("interfaces", ifname, str(item)), item, _PART)
    for name, mapped, _ in _static_prefixes(spec, of_tenants=True):  # all that come in ask one map
        yield span_of(mapped, 1, _Use("static", name, str(mapped)))
    for order, (name, entry) in enumerate(spec.prefix_nat.items(), start=2):
        for each in entry.as_:
            use = _Use("prefixNat", name, str(each))
            if isinstance(each, SubPrefix):
                yield part(use, each, entry.address.prefixlen)._replace(order=order)
            else:
                yield span_of(each, order, use)


def _reals(spec: GatewaySpec) -> Iterator[AddressSpan[_Use]]:
    """What is translated; that of two entries of prefixNat is told elsewhere."""
    for name, _, real in _static_prefixes(spec):
        yield span_of(real, 1, _Use("static", name, str(real)))
    for name, entry in spec.prefix_nat.items():
        yield span_of(entry.address, 2, _Use("prefixNat", name, str(entry.address)))


def _static_prefixes(spec: GatewaySpec, *, of_tenants: bool = False) -> Iterator[tuple[str, Network, Network]]:
    """IPv6 prefixes of 1:1 NAT for all traffic: (name, known as, real). Single addresses are asked first."""
    own, declared = own_addresses(spec), declared_networks(spec)
    for name, static in spec.static.items():
        if static.to or static.in_ or (static.tenant and not of_tenants):
            continue
        for real, mapped in pieces(static, own, declared):
            if mapped.version == 6 and mapped.prefixlen < mapped.max_prefixlen:
                yield name, mapped, real


def _twice(spans: Iterable[AddressSpan[_Use]], field: str, hint: str) -> Iterator[Problem]:
    def apart(one: _Use, other: _Use) -> bool:
        sections = {one.section, other.section}
        return one[:2] == other[:2] or "prefixNat" not in sections or (field == "address" and len(sections) == 1)

    for later, earlier in overlapping(spans, apart):
        one, other = later.owner, earlier.owner
        whose = f"{_ENTRIES.get(other.section, other.section)} {other.name!r}"
        same = one.prefix == other.prefix
        message = (
            f"{one.prefix} is already used by {whose}" if same else f"{one.prefix} overlaps {other.prefix} of {whose}"
        )
        yield ("spec", one.section, one.name, field), message, hint


_ENTRIES = {"interfaces": "interface"}


def _known(spec: GatewaySpec, path: Path, part: SubPrefix) -> Iterator[Problem]:
    uplink = spec.uplinks.get(part.from_)
    if uplink is None:
        close = nearest(part.from_, spec.uplinks)
        hint = f"did you mean {close!r}?" if close else f"there are: {listed(spec.uplinks)}"
        yield path, f"there is no uplink {part.from_!r}", hint
    elif uplink.delegated is None:
        yield path, f"uplink {part.from_!r} has no delegated prefix", "write `delegated: auto` there"
