"""Names that a spec uses and that nothing in it has: uplinks, interfaces, tenants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from nvi_operator.language.check.addresses import Problem
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.values import SELF
from nvi_operator.language.other_words import ANY, UNTRANSLATED
from nvi_operator.language.wording import listed, nearest


def check_references(spec: GatewaySpec, disabled: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Each name of an uplink, interface or tenant is declared."""
    off = {"uplink": disabled.get("uplinks", ()), "inside interface": disabled.get("interfaces", ())}
    off["interface"] = off["inside interface"]
    tenants = {i.tenant for i in spec.interfaces.values() if i.tenant}
    interfaces = {*spec.interfaces, *(u.interface for u in spec.uplinks.values())}

    def known(path: Path, what: str, names: Iterable[str | None], there_are: Iterable[str]) -> Iterator[Problem]:
        for name in names:
            if name is not None and name not in there_are:
                if name in off.get(what, ()):
                    yield path, f"the {what} {name!r} is disabled", "enable it, or disable this as well"
                elif name in spec.address_sets:
                    hint = "it is an address set, which stands in from, to and except alone; "
                    yield path, f"there is no {what} {name!r}", hint + _instead("", there_are)
                elif path[-1] == "at" and name in ANY:
                    yield path, f"there is no {what} {name!r}", "leave it out for every uplink"
                elif what == "uplink" and (by := [n for n, u in sorted(spec.uplinks.items()) if u.interface == name]):
                    yield path, f"there is no {what} {name!r}", f"write {' or '.join(by)}, whose interface that is"
                else:
                    yield path, f"there is no {what} {name!r}", _instead(name, there_are)

    for number, rule in enumerate(spec.source_nat):
        at: Path = ("spec", "sourceNat", number)
        for path, message, hint in known((*at, "as"), "uplink", rule.as_.names, spec.uplinks):
            untranslated = not UNTRANSLATED.isdisjoint(rule.as_.names)
            more = _MASQUERADE if "masquerade" in rule.as_.names else _UNCHANGED if untranslated else ""
            yield path, message, more + hint
        yield from known((*at, "in"), "interface", rule.in_ or (), {*interfaces, SELF})
        yield from known((*at, "tenant"), "tenant", [rule.tenant], tenants)
    for number, route in enumerate(spec.routes):
        yield from known(("spec", "routes", number, "via"), "uplink", route.via.first, spec.uplinks)
        yield from known(("spec", "routes", number, "in"), "interface", route.in_ or (), {*interfaces, SELF})
    if spec.default_uplink:
        yield from known(("spec", "defaultUplink"), "uplink", spec.default_uplink.first, spec.uplinks)
    unknown: dict[tuple[str, ...], list[str]] = {}  # most forwards share `at` with others
    for name, forward in spec.forwards.items():
        if forward.at:
            names = unknown.get(forward.at)
            if names is None:
                names = [i for i in forward.at if "." not in i and ":" not in i and i not in spec.uplinks]
                unknown[forward.at] = names
            if names:
                yield from known(("spec", "forwards", name, "at"), "uplink", names, spec.uplinks)
        if forward.tenant:
            yield from known(("spec", "forwards", name, "tenant"), "tenant", [forward.tenant], tenants)
    for name, redirect in spec.redirects.items():
        yield from known(("spec", "redirects", name, "in"), "inside interface", redirect.in_ or (), spec.interfaces)
    for name, static in spec.static.items():
        yield from known(("spec", "static", name, "tenant"), "tenant", [static.tenant], tenants)
        yield from known(("spec", "static", name, "in"), "inside interface", static.in_ or (), spec.interfaces)
    for name, check in spec.checks.items():
        yield from known(("spec", "checks", name, "uplink"), "uplink", [check.uplink], spec.uplinks)
    for name, twice in spec.twice_nat.items():
        yield from known(("spec", "twiceNat", name, "via"), "uplink", [twice.via], spec.uplinks)
    for number, assertion in enumerate(spec.assert_):
        at = ("spec", "assert", number)
        places = [place for place in assertion.at or () if isinstance(place, str)]
        yield from known((*at, "at"), "uplink", places, spec.uplinks)
        yield from known((*at, "by"), "uplink", assertion.by or (), spec.uplinks)
        yield from known((*at, "in"), "interface", assertion.in_ or (), interfaces)


_MASQUERADE = "an uplink's name does what masquerade does; "
_UNCHANGED = "write `unchanged` for what stays untranslated; "


def _instead(name: str, there_are: Iterable[str]) -> str:
    names = sorted(there_are)
    if close := nearest(name, names):
        return f"did you mean {close!r}?"
    return f"there are: {listed(names)}" if names else "there are none: add one, or leave this out"
