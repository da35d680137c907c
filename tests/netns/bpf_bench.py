"""Client - gateway - server for the eBPF dataplane alone: rules, routes and table are written by hand here.

Nothing of the operator but the program and its driver takes part, so that a failure is theirs.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from types import MappingProxyType
from typing import Any, TypeVar

from pyroute2 import IPRoute

from nvi_operator.kernel.bpf.counters import read_counters
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver
from nvi_operator.kernel.netns import enter
from nvi_operator.state.change import Action, Change
from nvi_operator.state.host import HostState, Ref
from nvi_operator.state.link import Link
from nvi_operator.state.tc import Port, ProgramOptions, TcProgram

T = TypeVar("T")

STAGE = 0x80000000
DEVICE = "nvi0"
CLIENT, LAN, WAN, SERVER = "10.1.0.2", "10.1.0.1", "203.0.113.1", "203.0.113.10"
CLIENT6, LAN6, WAN6, SERVER6 = "fd01::2", "fd01::1", "2001:db8:1::1", "2001:db8:1::10"

_numbers = count(1)


def until(condition: Callable[[], T], what: str, *, seconds: float = 5.0) -> T:
    """Wait for `condition` to be true, and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for: {what}"
    return value


class Netns:
    """A network namespace, and a thread that lives in it: sockets made there stay there."""

    def __init__(self, name: str) -> None:
        self.name = f"nvibpf-{os.getpid()}-{next(_numbers)}{name}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(self.name,))
        self.sysctls({"net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0})
        self.run("ip link set lo up")

    def close(self) -> None:
        self._thread.shutdown()
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def call(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return self._thread.submit(function, *arguments, **options).result()

    def run(self, command: str, *, text: str | None = None, check: bool = True) -> str:
        argv = ["ip", "netns", "exec", self.name, *command.split()]
        done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False)
        assert not (check and done.returncode), f"{command}: {done.stderr or done.stdout}"
        return done.stdout

    def sysctls(self, values: Mapping[str, int]) -> None:
        def write() -> None:
            for name, value in values.items():
                with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                    file.write(str(value))

        self.call(write)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        made = self.call(socket.socket, family, kind, protocol)
        made.settimeout(2)
        return made

    def pings(self, address: str, *options: str, seconds: float = 1.0) -> bool:
        command = f"ping -n -q -c1 -W{seconds:g} {' '.join(options)} {address}"
        argv = ["ip", "netns", "exec", self.name, *command.split()]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def packets(self, counter: str) -> tuple[int, int]:
        """Packets and bytes of a named counter of table `inet watch`."""
        found = re.search(r"packets (\d+) bytes (\d+)", self.run(f"nft list counter inet watch {counter}"))
        assert found
        return int(found[1]), int(found[2])


class Bench:
    """The three namespaces, the device in the middle one, and the driver under test."""

    def __init__(self, client: Netns, gateway: Netns, server: Netns) -> None:
        self.client, self.gateway, self.server = client, gateway, server
        self.ipr: Any = gateway.call(IPRoute)
        self.driver = gateway.call(TcProgramDriver, self.ipr)
        self.live: TcProgram | None = None

    # ---------------------------------------------------------------- the driver

    def observe(self) -> TcProgram | None:
        desired = HostState.of([("link", Link(DEVICE, "ifb", 78, 65535))])
        found = self.gateway.call(lambda: list(self.driver.observe(desired)))
        assert len(found) <= 1
        return found[0] if found else None

    def apply(self, after: TcProgram | None) -> None:
        before = self.live
        action = Action.DELETE if after is None else Action.CREATE if before is None else Action.UPDATE
        ref = Ref("tc-program", f"{DEVICE} egress")
        self.gateway.call(self.driver.apply, Change(ref, action, before, after))
        self.live = after

    def load(self, options: ProgramOptions, *ports: str) -> TcProgram:
        """Apply with these options, for these interfaces (lan0 and wan0 by default)."""
        wanted = TcProgram(DEVICE, options, frozenset(self.port(name) for name in ports or ("lan0", "wan0")))
        self.apply(wanted)
        return wanted

    def port(self, ifname: str) -> Port:
        (link,) = self.gateway.call(self.ipr.link, "get", ifname=ifname)
        mac = link.get("address") if link["ifi_type"] == 1 else None  # ARPHRD_ETHER
        return Port(link["index"], mac)

    def program_id(self) -> int | None:
        return self.gateway.call(self.driver.program_id, DEVICE)

    def counters(self) -> dict[str, int]:
        return self.gateway.call(read_counters, self.ipr, DEVICE)

    # ---------------------------------------------------------------- what stands around it

    def steer(self, *ifnames: str) -> None:
        """Table 100 goes into the device; packets of these interfaces without the stage bit take it."""
        for family in ("-4", "-6"):
            self.gateway.run(f"ip {family} route add default dev {DEVICE} table 100")
            self.gateway.run(f"ip {family} route add unreachable default metric 4294967295 table 100")
            for ifname in ifnames:
                self.gateway.run(f"ip {family} rule add pref 100 iif {ifname} fwmark 0/{STAGE:#x} lookup 100")

    def table(self, source: str, *ifnames: str) -> None:
        """The table of dataplane.md: notrack in stage 2, SNAT in stage 1, and the mark hook."""
        indexes = [0, *(self.port(name).ifindex for name in ifnames)]
        elements = ", ".join(f"{n} : {STAGE | n:#x}" for n in indexes)
        hook = {"mark": "meta mark set iif map @marks", "skb_iif": f"meta mark set meta mark or {STAGE:#x}"}
        self.gateway.run(
            "nft -f -",
            text=f"""
            table inet nvi {{
                map marks {{ type iface_index : mark; elements = {{ {elements} }} }}
                chain raw {{ type filter hook prerouting priority -450;
                    meta mark & {STAGE:#x} == {STAGE:#x} notrack }}
                chain srcnat {{ type nat hook postrouting priority 90;
                    oifname "{DEVICE}" ip saddr 10.0.0.0/8 snat ip to {WAN}
                    oifname "{DEVICE}" ip6 saddr fd00::/8 snat ip6 to {WAN6} }}
                chain mark_hook {{ type filter hook postrouting priority 2147483647;
                    oifname != "{DEVICE}" return
                    {hook[source]} }}
            }}""",
        )

    def watch(self, rules: Mapping[str, str], hook: str = "prerouting", priority: int = -460) -> None:
        """Count packets at the gateway that match, by name."""
        body = "".join(f"counter {name} {{ }}\n" for name in rules)
        lines = "".join(f"{match} counter name {name}\n" for name, match in rules.items())
        chain = f"chain c {{ type filter hook {hook} priority {priority};\n{lines} }}"
        self.gateway.run("nft -f -", text=f"table inet watch {{\n{body}{chain}\n}}")


def _wire(one: Netns, ifname: str, other: Netns, other_ifname: str) -> None:
    ends = f"{ifname} netns {one.name} type veth peer name {other_ifname} netns {other.name}"
    subprocess.run(f"ip link add {ends}".split(), check=True)
    one.run(f"ip link set {ifname} up")
    other.run(f"ip link set {other_ifname} up")


GATEWAY_SYSCTLS = MappingProxyType(
    {
        "net/ipv4/ip_forward": 1,
        "net/ipv6/conf/all/forwarding": 1,
        "net/ipv4/conf/all/rp_filter": 0,
        "net/ipv4/conf/default/rp_filter": 0,
        "net/ipv4/conf/default/accept_local": 1,
        "net/ipv4/conf/all/send_redirects": 0,
    }
)


@contextmanager
def bench() -> Iterator[Bench]:
    """The laboratory, addressed, without table, rules or program: `steer`, `table` and `load` add them."""
    made: list[Netns] = []
    try:
        for name in ("c", "g", "s"):
            made.append(Netns(name))
        client, gateway, server = made
        gateway.sysctls(GATEWAY_SYSCTLS)
        _wire(client, "eth0", gateway, "lan0")
        _wire(gateway, "wan0", server, "eth0")
        for netns, ifname, addresses in (
            (client, "eth0", (f"{CLIENT}/24", f"{CLIENT6}/64")),
            (gateway, "lan0", (f"{LAN}/24", f"{LAN6}/64")),
            (gateway, "wan0", (f"{WAN}/24", f"{WAN6}/64")),
            (server, "eth0", (f"{SERVER}/24", f"{SERVER6}/64")),
        ):
            for address in addresses:
                netns.run(f"ip address add {address} dev {ifname}")
        client.run(f"ip route add default via {LAN}")
        client.run(f"ip route add default via {LAN6}")
        gateway.run(f"ip link add {DEVICE} mtu 65535 group 78 type ifb")
        gateway.run(f"ip link set {DEVICE} addrgenmode none")
        gateway.run(f"ip link set {DEVICE} up")
        lab = Bench(client, gateway, server)
        try:
            yield lab
        finally:
            lab.ipr.close()
    finally:
        for netns in made:
            netns.close()
