"""The NAT virtual interface.

Others can change everything by which it may be known, so no single sign makes a device owned. Three signs belong to
`spec.numbers`: the link group, set at creation; the alias, which names the numbers; routes of its protocol into the
device. Two belong to any gateway: the MTU, set at creation as well, and the program. A device is owned with two
signs, one of them of its numbers; or with both of any gateway's and either the name that the spec gives or no link
group (another gateway's device has a group). One that has lost signs is repaired, one with fewer is not touched.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import nlargest
from typing import Any

from nvi_operator.errors import ConflictError, KernelError
from nvi_operator.kernel.bpf.generations import Generations
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.drivers.flows import as_flow, traffic_group
from nvi_operator.kernel.drivers.route import RouteDriver
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.kmod.device import KIND, as_request, attributes_of, read_counters, split_counters
from nvi_operator.kernel.kmod.flow_cache import ModuleFlow, ModuleFlowCache
from nvi_operator.kernel.netlink.interfaces import ListedLink, list_links
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.link import ALIAS, LINK, MTU, Link, device_alias
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.flow import Flow
from nvi_operator.state.host import HostState
from nvi_operator.topology.numbers import device_group


class LinkDriver(Driver):
    """`routed` and `programmed` name the links that routes of the protocol lead into, and ask for the program."""

    kind = LINK.name

    def __init__(
        self,
        ipr: Any,
        rtnetlink: Rtnetlink,
        numbers: Numbers,
        *,
        routed: Callable[[], frozenset[str]] = frozenset,
        programmed: Callable[[str], bool] = lambda ifname: False,
        generations: Generations | None = None,
    ) -> None:
        self._ipr = ipr
        self._rtnetlink = rtnetlink
        self._group = device_group(numbers.link_group)
        self._alias = device_alias(numbers.link_group, numbers.protocol)
        self._routed = routed
        self._programmed = programmed
        self._generations = generations

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> LinkDriver:
        routes, program = RouteDriver.create(handles, drivers), TcProgramDriver.create(handles, drivers)
        return cls(
            handles.ipr,
            handles.rtnetlink,
            handles.numbers,
            routed=routes.devices,
            programmed=program.is_on,
            generations=handles.generations,
        )

    def observe(self, desired: HostState) -> Iterator[Link]:
        """Every owned link, whatever its name.

        ConflictError for a foreign one under a needed name, and for one that a gateway with other numbers made.
        """
        needed = {ref.key for ref, _ in desired if ref.kind == self.kind}
        with kernel_errors("links: listing"):
            links = list_links(self._rtnetlink)
        caching: list[int] = []
        for link in links:
            if link.kind in MTU and self._is_owned(link, link.ifname in needed):
                attributes = attributes_of(link.data) if link.kind == KIND else ()
                labelled = link.alias == self._alias
                if _caches(attributes):
                    caching.append(link.index)
                yield Link(link.ifname, link.kind, link.group, link.mtu, link.up, attributes, labelled)
            elif link.ifname in needed:
                raise self._taken(link)
        if self._generations is not None:
            self._generations.follow_devices(caching)

    def _is_owned(self, link: ListedLink, needed: bool) -> bool:
        """Costs nothing beyond the listing, unless signs are missing."""
        ifname, alias, group = link.ifname, link.alias, link.group == self._group
        needed |= not link.group
        any_gateways = int(link.mtu == MTU[link.kind])
        if alias.startswith(ALIAS) and alias != self._alias:
            return self._is_owned_under_another_alias(link, group, any_gateways)
        own_signs = group + (alias == self._alias)
        if own_signs and own_signs + any_gateways > 1:
            return True
        own_signs += ifname in self._routed()
        if (own_signs or needed) and own_signs + any_gateways < 2:
            any_gateways += self._programmed(ifname)
        return (own_signs > 0 or needed) and own_signs + any_gateways > 1

    def _is_owned_under_another_alias(self, link: ListedLink, group: bool, any_gateways: int) -> bool:
        ifname, alias = link.ifname, link.alias
        if group and ifname in self._routed():
            return True
        if any_gateways or self._programmed(ifname):
            raise ConflictError(
                f"link {ifname}: belongs to a gateway with other numbers: {alias[len(ALIAS) :]}",
                hint="to change numbers, first remove that gateway, with the spec that has them: nvictl down DIR",
            )
        return False

    def _taken(self, link: ListedLink) -> ConflictError:
        signs = f"link group {link.group} and not {self._group}, MTU {link.mtu}"
        return ConflictError(
            f"link {link.ifname}: create the NAT virtual interface: a foreign link of kind "
            f"{link.kind or 'physical'} has this name ({signs}, alias {link.alias or 'none'})",
            hint="choose another name in spec.dataplane.device, or remove that link",
        )

    def apply(self, change: Change) -> None:
        if change.action in (Action.DELETE, Action.REPLACE):
            self._delete(change.ref.key)
        if isinstance(change.after, Link):
            if change.action is not Action.UPDATE:
                self._create(change.after)
            self._adjust(change.after)

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """What devices of the module counted; those of the eBPF dataplane are counted by its program."""
        found: dict[str, dict[str, int]] = {}
        for link in live.of_kind(self.kind):
            if isinstance(link, Link) and link.kind == KIND:
                device, flows = split_counters(read_counters(link.ifname))
                found[f"device {link.ifname}"] = device
                if _caches(link.attributes):
                    found |= {"flow cache": flows, **dict(_traffic(link.ifname))}
        return found

    def flows(self, most: int) -> tuple[Sequence[Flow], int]:
        with kernel_errors("links: listing"):
            links = list_links(self._rtnetlink)
        devices = [link.index for link in links if link.kind == KIND and _caches(attributes_of(link.data))]
        names, total = dict(socket.if_nameindex()), 0

        def entries() -> Iterator[ModuleFlow]:
            nonlocal total
            for device in devices:
                with suppress(OSError), ModuleFlowCache(device) as cache:
                    for flow in cache.flows():
                        total += 1
                        yield flow

        found = nlargest(most, entries(), key=lambda flow: flow.bytes)
        return [as_flow(names, flow) for flow in found], total

    def _create(self, link: Link) -> None:
        with kernel_errors(f"link {link.ifname}: making one of kind {link.kind}"):
            self._ipr.link(
                "add",
                ifname=link.ifname,
                kind=link.kind,
                group=link.group,
                mtu=link.mtu,
                **as_request(link.attributes),
            )

    def _adjust(self, link: Link) -> None:
        with kernel_errors(f"link {link.ifname}: setting mtu {link.mtu} and up"):
            index = next(iter(self._ipr.link_lookup(ifname=link.ifname)), None)
            if index is None:
                raise KernelError(f"link {link.ifname}: setting it up: it was deleted meanwhile", transient=True)
            # No link-local address and no router solicitations of the device's own.
            no_addresses = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})]}
            self._ipr.link("set", index=index, IFLA_AF_SPEC=no_addresses)
            if link.attributes:
                self._ipr.link("set", index=index, kind=link.kind, **as_request(link.attributes))
            self._ipr.link("set", index=index, mtu=link.mtu, group=link.group, ifalias=self._alias)
            self._ipr.link("set", index=index, state="up" if link.up else "down")

    def _delete(self, ifname: str) -> None:
        with kernel_errors(f"link {ifname}: deleting"):
            for index in self._ipr.link_lookup(ifname=ifname):
                self._ipr.link("del", index=index)


def _caches(attributes: tuple[tuple[str, int], ...]) -> bool:
    return bool(dict(attributes).get("flow_cache"))


def _traffic(ifname: str) -> Iterator[tuple[str, dict[str, int]]]:
    names = dict(socket.if_nameindex())
    with suppress(OSError), ModuleFlowCache(socket.if_nametoindex(ifname)) as cache:  # where it is down: none
        for way, traffic in cache.traffic().items():
            yield traffic_group(names, way), {"packets": traffic.packets, "bytes": traffic.bytes}
