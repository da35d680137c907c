"""The interfaces that the spec names, and the gateway's own device and link groups."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.numbers import device_group

_KINDS = ("ifb", "nvi")


def present(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Interfaces of the spec exist under this name, are up, and are no port of another interface."""
    for ifname in footprint(spec).interfaces:
        link = survey.links.get(ifname)
        named = [other.ifname for other in survey.links.values() if ifname in other.altnames]
        if link is None and named:
            yield Finding(
                "problem",
                "interfaces",
                f"{ifname} is an alternative name of {named[0]}: `ip` knows it, but nft and FIB rules match only "
                "the name of an interface",
                f"# in the spec: {named[0]} instead of {ifname}",
            )
        elif link is None:
            yield Finding(
                "warning",
                "interfaces",
                f"{ifname} is in the spec but not on this host: its rules and routes are omitted until it appears",
                "ip -brief link  # does it have another name here?",
            )
        elif link.master is not None:
            kind = survey.links[link.master].kind if link.master in survey.links else None
            yield Finding(
                "problem",
                "interfaces",
                f"{ifname} is a port of {kind or 'the link'} {link.master}: packets come in by {link.master}, and "
                "rules that name the port do not see them",
                f"# in the spec: {link.master} instead of {ifname}\n# or: ip link set {ifname} nomaster",
            )
        elif not link.up:
            yield Finding("warning", "interfaces", f"{ifname} is down", f"ip link set {ifname} up")


def device_name(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """A foreign link under the name of the gateway's device, or the device without its link group."""
    need = footprint(spec)
    link = survey.links.get(need.device)
    if link is None or (link.kind in _KINDS and link.group == device_group(need.link_group)):
        return
    if link.kind in _KINDS:
        yield Finding(
            "warning",
            "device-name",
            f"link {need.device}, of kind {link.kind}, is in link group {link.group} instead of "
            f"{device_group(need.link_group)}: an apply repairs it if nvictl made it, and refuses otherwise",
            "nvictl plan DIR  # tells which",
        )
        return
    yield Finding(
        "problem",
        "device-name",
        f"link {need.device}, of kind {link.kind or 'physical'}, already exists and was not made by nvictl",
        "# in the spec: dataplane: {device: NAME} with another name",
    )


def link_group(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign links in the two link groups that the gateway uses."""
    need = footprint(spec)
    todo = f"# in the spec: numbers: {{linkGroup: {_free_group(survey)}}}"
    for link in survey.links.values():
        if link.group == need.link_group and link.ifname not in need.uplinks and spec is not None:
            yield Finding(
                "warning",
                "link-group",
                f"{link.ifname} is in link group {link.group}, the group of the gateway's uplinks: stage 2 will not "
                "use its routes",
                f"ip link set {link.ifname} group default\n{todo}",
            )
        elif link.group == device_group(need.link_group) and link.ifname != need.device:
            yield Finding(
                "warning",
                "link-group",
                f"{link.ifname} is in link group {link.group}, which marks the gateway's own device",
                f"ip link set {link.ifname} group default\n{todo}",
            )


def _free_group(survey: Survey) -> int:
    used = {link.group for link in survey.links.values()}
    return next(n for n in range(78, 2**31, 2) if not used & {n, n + 1})
