"""The NAT virtual interface: made in our link group, which is what makes it recognisably ours from birth.

Its alias says by which of `spec.numbers` all that is ours is known. A spec with other ones would find nothing of it,
and make a second gateway beside the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.errors import ConflictError, KernelError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.nvi_device import KIND, as_request, attributes_of, teach_pyroute2
from nvi_operator.kernel.rtnetlink import listed
from nvi_operator.spec.models import Numbers
from nvi_operator.state.change import Action, Change
from nvi_operator.state.host import HostState
from nvi_operator.state.link import Link

_ALIAS = "nvi-operator: numbers: "
_IFF_UP = 1
_KINDS = ("ifb", KIND)


class LinkDriver(Driver):
    kind = "link"

    def __init__(self, ipr: Any, numbers: Numbers) -> None:
        teach_pyroute2()
        self._ipr = ipr
        self._group = numbers.link_group + 1
        self._alias = f"{_ALIAS}{{linkGroup: {numbers.link_group}, protocol: {numbers.protocol}}}"

    def observe(self, desired: HostState) -> Iterator[Link]:
        """Every link of our group and kinds.

        One of another's under a name that we need is a conflict, and so is one of ours that other numbers made.
        """
        wanted = {ref.key for ref, _ in desired if ref.kind == self.kind}
        with kernel_errors("links: listing"):
            links = listed(self._ipr.get_links)
        for link in links:
            info = link.get("linkinfo")
            kind = info.get("kind") if info else None
            alias = link.get("ifalias") or ""
            if kind in _KINDS and alias.startswith(_ALIAS) and alias != self._alias:
                raise ConflictError(
                    f"link {link.get('ifname')}: is of a gateway of ours with other numbers: {alias[len(_ALIAS) :]}",
                    hint="name the spec that has these; to change them, take that gateway away with it first: "
                    "nvictl down DIR",
                )
            if link.get("group") == self._group and kind in _KINDS:
                up = bool(link["flags"] & _IFF_UP)
                attributes = attributes_of(link) if kind == KIND else ()
                yield Link(link.get("ifname"), kind, self._group, link.get("mtu"), up, attributes)
            elif link.get("ifname") in wanted:
                raise ConflictError(
                    f"link {link.get('ifname')}: wanted as the NAT virtual interface: there is one of kind "
                    f"{kind or 'physical'} that is not ours",
                    hint="choose another name in spec.dataplane.device, or remove that link",
                )

    def apply(self, change: Change) -> None:
        if change.action in (Action.DELETE, Action.REPLACE):
            self._delete(change.ref.key)
        if isinstance(change.after, Link):
            if change.action is not Action.UPDATE:
                self._create(change.after)
            self._adjust(change.after)

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
                raise KernelError(f"link {link.ifname}: setting it up: it has gone meanwhile")
            # No link-local address and no router solicitations of the device's own.
            no_addresses = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})]}
            self._ipr.link("set", index=index, IFLA_AF_SPEC=no_addresses)
            if link.attributes:
                self._ipr.link("set", index=index, kind=link.kind, **as_request(link.attributes))
            self._ipr.link("set", index=index, mtu=link.mtu, ifalias=self._alias)
            self._ipr.link("set", index=index, state="up" if link.up else "down")

    def _delete(self, ifname: str) -> None:
        with kernel_errors(f"link {ifname}: deleting"):
            for index in self._ipr.link_lookup(ifname=ifname):
                self._ipr.link("del", index=index)
