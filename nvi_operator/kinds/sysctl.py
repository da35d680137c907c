"""Kernel settings. Forwarding is set last by an apply and restored first by a `down`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from nvi_operator.dataclass import dataclass
from nvi_operator.kind import Kind, Phase, command
from nvi_operator.state.restorable import is_ifname
from nvi_operator.topology.model import Topology


@dataclass(frozen=True)
class Sysctl:
    """`path` is relative to /proc/sys, with slashes, because interface names may hold dots."""

    path: str
    value: str

    @property
    def key(self) -> str:
        return self.path


FORWARDING: Mapping[int, str] = MappingProxyType({4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"})
# Of one interface, or of `all`. Nothing else is ever written: the record of what was there before names paths.
_SETTINGS = frozenset(
    {
        ("ipv4", "accept_local"),
        ("ipv4", "forwarding"),
        ("ipv4", "rp_filter"),
        ("ipv4", "send_redirects"),
        ("ipv6", "accept_ra"),
        ("ipv6", "proxy_ndp"),
    }
)
# A cached flow's acknowledgements pass conntrack by: without this it takes the next one that it sees for invalid.
LIBERAL = "net/netfilter/nf_conntrack_tcp_be_liberal"
_EVERYWHERE = "net/ipv4/conf/all/rp_filter"


def _desired(topology: Topology) -> Iterator[Sysctl]:
    present = [interface.ifname for interface in topology.interfaces if interface.ifindex is not None]
    for ifname in [*present, topology.device]:
        # Stage 2 receives packets whose source is one of the gateway's own addresses: 'martians' without this.
        yield Sysctl(f"net/ipv4/conf/{ifname}/accept_local", "1")
        # The way back to a translated source is another interface; the guard does better.
        yield Sysctl(f"net/ipv4/conf/{ifname}/rp_filter", "0")
        # A hairpin leaves by the interface it came in by, and must not be 'redirected' past the gateway.
        yield Sysctl(f"net/ipv4/conf/{ifname}/send_redirects", "0")
        if 4 in topology.families:
            # ip_forward sets it for all interfaces when it changes; networkd and sysctl.d may say otherwise of one.
            yield Sysctl(f"net/ipv4/conf/{ifname}/forwarding", "1")
    # The larger of `all` and the interface's own counts for rp_filter; either for send_redirects.
    yield Sysctl(_EVERYWHERE, "0")
    for name, value in topology.reverse_path:
        yield Sysctl(f"net/ipv4/conf/{name}/rp_filter", str(value))
    yield Sysctl("net/ipv4/conf/all/send_redirects", "0")
    if 6 in topology.families:
        for uplink in topology.uplinks:
            if uplink.dynamic and uplink.interface.ifindex is not None:
                # A forwarding host stops learning from router advertisements, save with 2. Clients that learn from
                # them by themselves (networkd, dhcpcd) set 0: with the kernel beside it dhcpcd 9.4.1 keeps the route
                # to a router that has gone.
                accept = "2" if uplink.interface.accepts_ra else "0"
                yield Sysctl(f"net/ipv6/conf/{uplink.interface.ifname}/accept_ra", accept)
        announcing = {u.interface.ifname for u in topology.uplinks if any(a.version == 6 for a in u.announced)}
        for ifname in sorted(announcing):
            # Without it proxy entries of the neighbour table answer no one; with it only they do.
            yield Sysctl(f"net/ipv6/conf/{ifname}/proxy_ndp", "1")
    if topology.liberal:
        yield Sysctl(LIBERAL, "1")
    for family in topology.families:
        yield Sysctl(FORWARDING[family], "1")


def may_change(path: str, value: str) -> bool:
    """Is it a setting that a gateway may change, and a value that it may have had before?"""
    if not re.fullmatch(r"-?[0-9]{1,10}", value):
        return False
    parts = path.split("/")
    if len(parts) != 5:
        return path in (FORWARDING[4], LIBERAL)
    net, family, conf, ifname, name = parts
    known = (net, conf) == ("net", "conf") and (family, name) in _SETTINGS and is_ifname(ifname)
    return known or path == FORWARDING[6]


def is_of_a_client(path: str, value: str) -> bool:
    """Has a client that learns from router advertisements by itself set it since? Then it is left as it is."""
    return path.endswith("/accept_ra") and value == "0"


def _phase(sysctl: Sysctl) -> Phase:
    return Phase.FORWARDING if is_forwarding(sysctl.path) else Phase.SYSCTL


def is_forwarding(path: str) -> bool:
    """Is it forwarding of IPv6 or IPv4 as a whole, or of one interface?"""
    return path in FORWARDING.values() or (path.startswith("net/ipv4/conf/") and path.endswith("/forwarding"))


def _interface(sysctl: Sysctl) -> str | None:
    """The interface in `net/ipv4/conf/IFNAME/rp_filter`."""
    parts = sysctl.path.split("/")
    return parts[3] if len(parts) == 5 and parts[2] == "conf" else None


def _within(sysctl: Sysctl) -> int:
    """Foreign interfaces are as strict as before, and then `all` is no longer.

    Forwarding of single interfaces is recorded before ip_forward sets all of them.
    """
    return int(sysctl.path in (_EVERYWHERE, *FORWARDING.values()))


SYSCTL = Kind(
    "sysctl",
    Sysctl,
    "sysctl",
    _desired,
    phase=_phase,
    describe=lambda sysctl: f"{sysctl.path} = {sysctl.value}",
    noun="setting",
    script=lambda sysctl, topology: [command("sysctl", "-qw", f"{sysctl.path}={sysctl.value}")],
    within=_within,
    lives_on=_interface,
    restores=may_change,
)
