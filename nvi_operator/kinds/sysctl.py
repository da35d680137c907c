"""Kernel settings. Forwarding comes last in an apply and goes first in a `down`."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kinds.kind import Kind, Phase
from nvi_operator.state.sysctl import Sysctl
from nvi_operator.topology.model import Topology

_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}


def _desired(topology: Topology) -> Iterator[Sysctl]:
    present = [port.ifname for port in topology.ports if port.ifindex is not None]
    for ifname in [*present, topology.device]:
        # Stage 2 receives packets whose source is one of our own addresses: 'martians' without this.
        yield Sysctl(f"net/ipv4/conf/{ifname}/accept_local", "1")
        # The way back to a translated source is another interface; our own guard does better.
        yield Sysctl(f"net/ipv4/conf/{ifname}/rp_filter", "0")
        # A hairpin leaves by the interface it came in by, and must not be 'redirected' past us.
        yield Sysctl(f"net/ipv4/conf/{ifname}/send_redirects", "0")
    # The larger of `all` and the interface's own counts for rp_filter; either for send_redirects.
    yield Sysctl("net/ipv4/conf/all/rp_filter", "0")
    yield Sysctl("net/ipv4/conf/all/send_redirects", "0")
    if 6 in topology.families:
        for uplink in topology.uplinks:
            if uplink.dynamic and uplink.port.ifindex is not None:
                # A forwarding host stops learning from router advertisements, save with 2.
                yield Sysctl(f"net/ipv6/conf/{uplink.port.ifname}/accept_ra", "2")
    for family in topology.families:
        yield Sysctl(_FORWARDING[family], "1")


def _phase(sysctl: Sysctl) -> Phase:
    return Phase.FORWARDING if sysctl.path in _FORWARDING.values() else Phase.SYSCTL


def _interface(sysctl: Sysctl) -> str | None:
    """Of `net/ipv4/conf/IFNAME/rp_filter`."""
    parts = sysctl.path.split("/")
    return parts[3] if len(parts) == 5 and parts[2] == "conf" else None


SYSCTL = Kind("sysctl", _desired, _phase, lives_on=_interface)
