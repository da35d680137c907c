"""What others take away from a gateway."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from pyroute2 import IPRoute

from nvi_operator.kernel.bpf.attach import Attachments
from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.store.saved_settings import SavedSettings
from tests.lab import Host

Loss = Callable[[Host], None]
KERNEL = ("0", "32766", "32767")  # the kernel's own rules


def nft(*commands: str) -> Loss:
    """The name of a table that another loss may have deleted already."""

    def lose(gateway: Host) -> None:
        for command in commands:
            gateway.run("nft", command, check=False)

    return lose


def run(*commands: str) -> Loss:
    def lose(gateway: Host) -> None:
        for command in commands:
            gateway.run(*command.split(), check=False)

    return lose


def no_rules(gateway: Host) -> None:
    """As a network manager that starts with a clean slate: all rules but the kernel's own."""
    for family in ("-4", "-6"):
        found = (line.partition(":")[0] for line in gateway.run("ip", family, "rule", "show").stdout.splitlines())
        lines = "".join(f"rule del pref {number}\n" for number in found if number not in KERNEL)
        gateway.run("ip", family, "-batch", "-", text=lines)


def forwarding_toggled(gateway: Host) -> None:
    for setting in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        gateway.write(setting, "0")
        gateway.write(setting, "1")


nothing_of_the_table = nft("flush ruleset")

LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "ruleset-flushed": nothing_of_the_table,
        "table-flushed": nft("flush table inet nvi"),
        "guards-flushed": nft("flush chain inet nvi guard"),
        "nat-flushed": nft("flush chain inet nvi srcnat", "flush chain inet nvi dstnat"),
        "rules-deleted": no_rules,
        "routes-flushed": run("ip route flush table 7800", "ip route flush table 7801"),
        "device-deleted": run("ip link del nvi0"),
        "program-detached": run("tc qdisc del dev nvi0 clsact"),
        "forwarding-toggled": forwarding_toggled,
        "inside-renamed": lambda gateway: gateway.rename("lan0", "lan9"),
    }
)


def remove_ingress_guard(host: Host, ifname: str) -> None:
    host.call(detach, INGRESS, ifname)


def detach(guard: GuardProgram, ifname: str) -> None:
    """From wherever it is: at tcx, where the kernel has that."""
    with IPRoute() as ipr, Rtnetlink() as rtnetlink, TemporaryDirectory() as scratch:
        places = Attachments(ipr, rtnetlink, SavedSettings(0, Path(scratch)), guard.is_attached)
        (place,) = places.at(guard.hook, [socket.if_nametoindex(ifname)])
        places.detach(place)
