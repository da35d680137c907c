"""Client, gateway and server for one dataplane alone, with hand-written rules, routes and table.

Only the operator's device and driver take part, so that a failure is theirs.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, Literal, Protocol

from bench.dataplane import asm
from nvi_operator.kernel.bpf import syscall
from nvi_operator.kernel.drivers.link import LinkDriver
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver, read_counters
from nvi_operator.kernel.handles import open_iproute
from nvi_operator.kernel.kmod import device as nvi_device
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.tc_program import InInterface, ProgramOptions, TcProgram
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState, Ref
from tests.dataplane.netns import Netns, wires

InInterfaceSource = Literal["mark", "skb_iif"]

STAGE = 0x80000000
DEVICE, GROUP = "nvi0", 79
NUMBERS = Numbers()
CLIENT, LAN, WAN, SERVER = "10.1.0.2", "10.1.0.1", "203.0.113.1", "203.0.113.10"
CLIENT6, LAN6, WAN6, SERVER6 = "fd01::2", "fd01::1", "2001:db8:1::1", "2001:db8:1::10"

ACCEPT = asm.encode([asm.mov_imm(asm.R0, 0), asm.leave()], {})  # TC_ACT_OK


class Device(Protocol):
    """A dataplane under test, through the operator's driver."""

    kind: str  # rtnl_link_ops kind of the device
    mtu: int

    def load(self, lab: Bench, options: ProgramOptions, *ports: str) -> None:
        """With these options, for these interfaces."""

    def counters(self, lab: Bench) -> dict[str, int]: ...


class Bpf:
    kind, mtu = "ifb", 65535

    def load(self, lab: Bench, options: ProgramOptions, *ports: str) -> None:
        lab.apply(TcProgram(DEVICE, options, frozenset(lab.port(name) for name in ports)))

    def counters(self, lab: Bench) -> dict[str, int]:
        return lab.gateway.call(read_counters, lab.rtnetlink, DEVICE)


class Kmod:
    kind, mtu = "nvi", 65536

    def load(self, lab: Bench, options: ProgramOptions, *ports: str) -> None:
        """The module has no ports, and draws its own tag."""
        attributes = {
            "require_stage": 1,
            "in_interface": int(options.source == "skb_iif"),
            "stage_mask": options.stage_mask,
            "ttl_compensation": int(options.hide_hop),
            "flow_cache": 0,
        }
        link = Link(DEVICE, self.kind, GROUP, self.mtu, attributes=tuple(sorted(attributes.items())))
        driver = lab.gateway.call(LinkDriver, lab.ipr, lab.rtnetlink, NUMBERS)
        lab.gateway.call(driver.apply, Change(Ref("link", DEVICE), Action.UPDATE, link, link))
        assert link in lab.gateway.call(lambda: list(driver.observe(HostState())))

    def counters(self, lab: Bench) -> dict[str, int]:
        return lab.gateway.call(nvi_device.read_counters, DEVICE)


DEVICES: Mapping[str, Device] = MappingProxyType({"bpf": Bpf(), "kmod": Kmod()})


class Bench:
    """The three namespaces, the device in the middle one, and the driver under test."""

    def __init__(self, client: Netns, gateway: Netns, server: Netns, device: Device) -> None:
        self.client, self.gateway, self.server, self.device = client, gateway, server, device
        self.source: InInterfaceSource = "mark"  # what was loaded last
        self.ipr: Any = gateway.call(open_iproute)
        self.rtnetlink = gateway.call(Rtnetlink)
        self.driver = gateway.call(TcProgramDriver, self.ipr, self.rtnetlink, lambda desired: ["nvi0"])
        self.live: TcProgram | None = None
        self._counted: dict[str, int] = {}

    # ---------------------------------------------------------------- either device

    def load(self, options: ProgramOptions, *ports: str) -> None:
        """Apply with these options, for these interfaces (lan0 and wan0 by default)."""
        self.source = options.source
        self.device.load(self, options, *(ports or ("lan0", "wan0")))

    def counters(self) -> dict[str, int]:
        return self.device.counters(self)

    def counted(self) -> dict[str, int]:
        """What was counted since the last call."""
        before, self._counted = self._counted, self.counters()
        new = {reason: number - before.get(reason, 0) for reason, number in self._counted.items()}
        return {reason: number for reason, number in new.items() if number}

    def nonzero(self) -> dict[str, int]:
        return {reason: number for reason, number in self.counters().items() if number}

    def port(self, ifname: str) -> InInterface:
        (link,) = self.gateway.call(lambda: tuple(self.ipr.link("get", ifname=ifname)))
        mac = link.get("address") if link["ifi_type"] == 1 else None  # ARPHRD_ETHER
        return InInterface(link["index"], mac)

    # ---------------------------------------------------------------- nvi.ko

    def set_attributes(self, **attributes: int) -> None:
        """Change attributes of the device."""
        request = nvi_device.as_request(tuple(attributes.items()))
        self.gateway.call(lambda: self.ipr.link("set", ifname=DEVICE, kind="nvi", **request))

    # ---------------------------------------------------------------- the eBPF driver

    def observe(self) -> TcProgram | None:
        desired = HostState.of([("link", Link(DEVICE, "ifb", GROUP, 65535))])
        found = self.gateway.call(lambda: list(self.driver.observe(desired)))
        assert len(found) <= 1
        return found[0] if found else None

    def apply(self, after: TcProgram | None) -> None:
        before = self.live
        if before is None and after is None:
            before = TcProgram(DEVICE, options(), frozenset())  # the test deleted it
        action = Action.DELETE if after is None else Action.CREATE if before is None else Action.UPDATE
        ref = Ref("tc-program", f"{DEVICE} egress")
        self.gateway.call(self.driver.apply, Change(ref, action, before, after))
        self.live = after

    def program_id(self) -> int | None:
        return self.gateway.call(self.driver.program_id, DEVICE)

    def filters(self) -> list[tuple[int, int, str]]:
        """Preference, handle and name of every filter at the device's egress."""
        listed = json.loads(self.gateway.run(f"tc -j filter show dev {DEVICE} egress"))
        whole = [entry for entry in listed if "options" in entry]
        return [(e["pref"], int(e["options"]["handle"], 16), e["options"]["bpf_name"]) for e in whole]

    # ---------------------------------------------------------------- rules, routes and table

    def steer(self, *ifnames: str) -> None:
        """Table 100 leads into the device; packets of these interfaces without the stage bit use it."""
        for everything in ("0.0.0.0/0", "::/0"):
            self.gateway.ip(
                f"route add {everything} dev {DEVICE} table 100",
                f"route add unreachable {everything} metric 4294967295 table 100",
            )
        self.steer_from(*ifnames)

    def steer_from(self, *ifnames: str) -> None:
        rules = [f"rule add pref 100 iif {ifname} fwmark 0/{STAGE:#x} lookup 100" for ifname in ifnames]
        for family in ("-4", "-6"):
            self.gateway.ip(*rules, family=family)

    def table(self, source: InInterfaceSource, *ifnames: str) -> None:
        """Notrack in stage 2, SNAT in stage 1, and the mark hook."""
        indexes = [0, *(self.port(name).ifindex for name in ifnames)]
        elements = ", ".join(f"{n} : {STAGE | n:#x}" for n in indexes)
        hook = {"mark": "meta mark set iif map @marks", "skb_iif": f"meta mark set meta mark or {STAGE:#x}"}
        self.gateway.nft(
            f"""
            table inet nvi {{
                map marks {{ type iface_index : mark; elements = {{ {elements} }} }}
                chain raw {{ type filter hook prerouting priority -450;
                    meta mark & {STAGE:#x} == {STAGE:#x} notrack; }}
                chain srcnat {{ type nat hook postrouting priority 90;
                    oifname "{DEVICE}" ip saddr 10.0.0.0/8 snat ip to {WAN}
                    oifname "{DEVICE}" ip6 saddr fd00::/8 snat ip6 to {WAN6}; }}
                chain mark_hook {{ type filter hook postrouting priority 2147483647;
                    oifname != "{DEVICE}" return
                    {hook[source]}; }}
            }}"""
        )

    def inject(self, ifname: str, ethertype: int, payload: bytes, mark: int) -> None:
        """Send a packet straight out of one of the gateway's interfaces."""
        with self.gateway.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", mark))
            with suppress(OSError):  # ENOBUFS where a tc program dropped it (NET_XMIT_DROP)
                raw.sendto(payload, (ifname, ethertype))

    def foreign_filter(
        self,
        ifname: str,
        where: Literal["ingress", "egress"],
        prio: int = 1,
        handle: int = 1,
        *,
        name: str = "foreign",
        code: bytes = ACCEPT,
        classid: int = 0x10000,
    ) -> None:
        """A foreign tc program."""

        def attach() -> None:
            fd = syscall.load_program(code, name)
            try:
                self.attach_foreign(ifname, where, fd, name, prio, handle, classid=classid)
            finally:
                os.close(fd)

        self.gateway.call(attach)

    def attach_foreign(
        self,
        ifname: str,
        where: Literal["ingress", "egress"],
        fd: int,
        name: str,
        prio: int = 1,
        handle: int = 1,
        *,
        classid: int = 0x10000,
    ) -> None:
        """A loaded program as a tc filter; call it in the gateway's thread."""
        (index,) = self.ipr.link_lookup(ifname=ifname)
        if not any(q.get("kind") == "clsact" for q in self.ipr.get_qdiscs(index=index)):
            self.ipr.tc("add", "clsact", index)
        parent = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}[where]
        place: dict[str, Any] = {"parent": parent, "prio": prio, "protocol": 3, "classid": classid}
        self.ipr.tc("replace-filter", "bpf", index, f":{handle}", fd=fd, name=name, direct_action=True, **place)


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


def _addressed(ifname: str, address: str, address6: str) -> tuple[str, ...]:
    return (
        f"link set {ifname} up",
        f"address add {address}/24 dev {ifname}",
        f"address add {address6}/64 dev {ifname}",
    )


@contextmanager
def bench(dataplane: str = "bpf") -> Iterator[Bench]:
    """The laboratory, addressed and steered, without table and program: `table` and `load` add them."""
    device = DEVICES[dataplane]
    made: list[Netns] = []
    try:
        for name in ("c", "g", "s"):
            made.append(Netns(name))
        client, gateway, server = made
        gateway.sysctls(GATEWAY_SYSCTLS)
        wires((client, "eth0", gateway, "lan0"), (gateway, "wan0", server, "eth0"))
        client.ip(*_addressed("eth0", CLIENT, CLIENT6), f"route add default via {LAN}", f"route add ::/0 via {LAN6}")
        gateway.ip(
            *_addressed("lan0", LAN, LAN6),
            *_addressed("wan0", WAN, WAN6),
            f"link add {DEVICE} mtu {device.mtu} group {GROUP} type {device.kind}",
            f"link set {DEVICE} addrgenmode none",
            f"link set {DEVICE} up",
        )
        server.ip(*_addressed("eth0", SERVER, SERVER6))
        lab = Bench(client, gateway, server, device)
        lab.steer("lan0", "wan0")
        try:
            yield lab
        finally:
            lab.ipr.close()
            lab.rtnetlink.close()
    finally:
        for netns in made:
            netns.close()


TAG = 0x8123


def options(
    source: InInterfaceSource = "mark", *, hide_hop: bool = False, flow_cache: bool = False
) -> ProgramOptions:
    return ProgramOptions(source, STAGE, TAG, hide_hop, flow_cache)


@contextmanager
def working(source: InInterfaceSource, dataplane: str = "bpf") -> Iterator[Bench]:
    """A gateway that translates."""
    with bench(dataplane) as lab:
        lab.table(source, "lan0", "wan0")
        lab.load(options(source))
        yield lab
