"""Delegated prefixes and prefix NAT: each part is of an uplink that gets one, each prefix an uplink's."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.check.addresses import Homes, Problem
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.prefixes import SubPrefix
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
    taken: dict[str, str] = {}
    for name, entry in spec.prefix_nat.items():
        path: Path = ("spec", "prefixNat", name)
        for item in entry.as_:
            if isinstance(item, SubPrefix):
                yield from _known(spec, (*path, "as"), item)
            elif homes is not None and not (homes.public(item[0]) and homes.public(item[-1])):
                yield (*path, "as"), f"{item} belongs to no uplink", "add it to routed of one"
            if (other := taken.setdefault(str(item), name)) != name:
                yield (*path, "as"), f"{item} is already used by prefixNat {other!r}", "give each its own prefix"
        for other_name, other_entry in spec.prefix_nat.items():
            if other_name == name:
                break
            if entry.address.overlaps(other_entry.address):
                message = f"{entry.address} overlaps {other_entry.address} of prefixNat {other_name!r}"
                yield (*path, "address"), message, "give all prefixes of it in one entry"


def _known(spec: GatewaySpec, path: Path, part: SubPrefix) -> Iterator[Problem]:
    uplink = spec.uplinks.get(part.from_)
    if uplink is None:
        close = nearest(part.from_, spec.uplinks)
        hint = f"did you mean {close!r}?" if close else f"there are: {listed(spec.uplinks)}"
        yield path, f"there is no uplink {part.from_!r}", hint
    elif uplink.delegated is None:
        yield path, f"uplink {part.from_!r} has no delegated prefix", "write `delegated: auto` there"
