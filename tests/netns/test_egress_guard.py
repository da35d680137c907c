"""The program at an uplink's egress, alone: without table and FIB rules it decides what may leave."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from functools import partial
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from bench.dataplane import asm
from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.bpf import syscall, tcx
from nvi_operator.kernel.bpf.attach import Attachments
from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.bpf.live import opened_maps
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kernel.netns import entered
from nvi_operator.store.saved_settings import SavedSettings
from tests.lab import GatewayHost, Host, Site
from tests.lab.net import until
from tests.lab.probe import Prober
from tests.netns.losses import no_rules, nothing_of_the_table
from tests.netns.operator import Operator
from tests.netns.scenarios import EDGE, A, spec

pytestmark = pytest.mark.netns


def test_packets_that_others_translate_in_a_single_stage_leave(site: Site, gateway: GatewayHost) -> None:
    """A container bridge that no spec names, masqueraded by its own tool."""
    lab = site.lab
    container = lab.host("container")
    lab.link(site.gateway, "docker0", container, "eth0")
    site.gateway.ip("addr add 172.17.0.1/16 dev docker0")
    container.ip("addr add 172.17.0.2/16 dev eth0", "route add default via 172.17.0.1")
    site.gateway.nft(
        'table ip docker {\nchain post {\ntype nat hook postrouting priority 100\noifname "wan0" ip saddr '
        "172.17.0.0/16 masquerade\n}\n}\n"
    )
    gateway.apply(spec())
    site.far.serve(443)
    assert container.connect(site.far.address, 443).seen == A
    no_rules(site.gateway)
    assert container.connect(site.far.address, 443).seen == A
    assert site.leaks() == 0


def test_the_gateways_own_packets_leave_and_neighbours_are_found(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    site.far.serve(443)
    no_rules(site.gateway)
    nothing_of_the_table(site.gateway)
    site.gateway.ip("neigh flush dev wan0")
    assert site.gateway.connect(site.far.address, 443).seen == A
    assert site.gateway.connect(site.far.address6, 443).seen == "2001:db8:a::2"
    assert not site.gateway.pings(site.far.address, wait=0.3, source="192.168.1.1"), "nor an inside source of its own"
    assert site.leaks() == 0
    assert gateway.counters()["egress_untranslated"] == 1


@pytest.mark.parametrize("guard", [EGRESS, INGRESS], ids=lambda guard: guard.hook)
def test_nothing_is_added_to_what_a_guard_lets_past(site: Site, gateway: GatewayHost, guard: GuardProgram) -> None:
    """The kernel would report it to no daemon."""
    gateway.apply(spec())
    (number,) = site.gateway.call(_programs, "wan0", guard)
    with opened_maps(number) as maps:
        table = guard.entries(1)
        fd = maps[table.name]
        key, *_ = syscall.keys(fd, table.key_size)
        for write in (partial(syscall.update, fd, key, bytes(table.value_size)), partial(syscall.delete, fd, key)):
            with pytest.raises(CapabilityError, match="Operation not permitted"):
                write()
    assert gateway.differences(spec()) == []


def _programs(ifname: str, guard: GuardProgram) -> list[int]:
    with IPRoute() as ipr, Rtnetlink() as rtnetlink:
        places = Attachments(ipr, rtnetlink, SavedSettings(0, Path()), guard.is_attached)
        return [place.program for place in places.at(guard.hook, ipr.link_lookup(ifname=ifname))]


def test_the_filters_of_others_are_asked_behind_it_and_stay(site: Site, gateway: GatewayHost) -> None:
    run = site.gateway.run
    run("tc", "qdisc", "add", "dev", "wan0", "clsact")
    for preference in ("1", "7"):
        filter_ = f"protocol ip pref {preference} u32 match u32 0xffffffff 0xffffffff at 12 flowid :1"  # no packet
        run("tc", "filter", "add", "dev", "wan0", "egress", *filter_.split())
    before = gateway.foreign()
    gateway.apply(spec())
    if not tcx.available():
        assert "pref 2 bpf" in run("tc", "filter", "show", "dev", "wan0", "egress").stdout, "the first that is free"
    site.far.serve(443)
    assert site.client.connect(site.far.address, 443).seen == A
    site.gateway.call(_drop_all, "wan0", 9)
    assert not site.client.reaches(site.far.address, 443), "those behind are asked"
    run("tc", "filter", "del", "dev", "wan0", "egress", "pref", "9")
    gateway.down()
    assert gateway.foreign()["tc"] == before["tc"]
    assert gateway.owned() == []


INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3  # parents of filters at clsact


def _drop_all(ifname: str, preference: int, parent: int = EGRESS) -> None:
    """A foreign program."""
    program = syscall.load_program(asm.encode([asm.mov_imm(asm.R0, 2), asm.leave()], {}), "others")
    with IPRoute() as ipr:
        (index,) = ipr.link_lookup(ifname=ifname)
        ipr.tc(
            "add-filter",
            "bpf",
            index,
            ":1",
            fd=program,
            name="others",
            parent=parent,
            classid=1,
            direct_action=True,
            prio=preference,
            protocol=3,
        )
    os.close(program)


def test_a_line_that_leaves_sources_unchanged_needs_stage_1(site: Site) -> None:
    """Without the stage bit not even what the spec lets out; with it, and without guard and FIB rules, only that."""
    text = spec().replace(
        "    - name: server\n",
        "    - name: vpn\n      to: [192.0.2.200, 2001:db8:f::200]\n      as: unchanged\n    - name: server\n",
    )
    operator = Operator(site)
    operator.apply(text)
    site.gateway.run("nft", "flush", "chain", "inet", "nvi", "guard")
    site.gateway.run("nft", "flush", "chain", "inet", "nvi", "srcnat")
    for family in ("-4", "-6"):
        site.gateway.run("ip", family, "rule", "del", "pref", "1900", "from", f"{INSIDE[family]}")
    for address in (site.far.address, site.far.address6):
        assert not site.client.pings(address, wait=0.3)
    assert site.leaks() == 0, "no other destination"
    for address in ("192.0.2.200", "2001:db8:f::200"):
        assert not site.client.pings(address, wait=0.3)
    assert site.leaks() == 2, "what the line says leaves as it is"
    no_rules(site.gateway)
    nothing_of_the_table(site.gateway)
    for address in ("192.0.2.200", "2001:db8:f::200"):
        assert not site.client.pings(address, wait=0.3)
    assert site.leaks() == 2


INSIDE = {"-4": "192.168.1.0/24", "-6": "fd00:1::/64"}

TUNNEL = (
    EDGE.format(dataplane="{ type: auto }")
    + """\
  uplinks:
    tunnel:
      interface: tun0
      addresses: [203.0.113.66, 2001:db8:66::2]
  sourceNat:
    - name: everyone
      as: tunnel
"""
)


def test_an_uplink_without_ethernet_header_is_guarded_likewise(site: Site, gateway: GatewayHost) -> None:
    with _tun(site.gateway, "tun0") as tun:
        site.gateway.ip(
            "addr add 203.0.113.66/32 dev tun0", "addr add 2001:db8:66::2/128 dev tun0 nodad", "link set tun0 up"
        )
        gateway.apply(TUNNEL)
        prober = Prober(site)
        prober.send()
        until(lambda: _sources(tun) >= {"203.0.113.66", "2001:db8:66::2"}, "translated packets leave by the tunnel")
        no_rules(site.gateway)
        nothing_of_the_table(site.gateway)
        site.gateway.ip("route replace default dev tun0", "route replace ::/0 dev tun0")
        for _ in range(20):
            prober.send()
        until(lambda: gateway.counters()["egress_untranslated"] >= 100, "they are held back and counted")
        prober.close()
        assert not {source for source in _sources(tun) if source.startswith(("192.168.", "fd00:"))}


class _Tun:
    def __init__(self, file: int) -> None:
        self.file = file
        self.sources: set[str] = set()

    def __enter__(self) -> _Tun:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.file)


def _tun(host: Host, ifname: str) -> _Tun:
    with entered(host.netns):
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(
            file, 0x400454CA, struct.pack("16sH22x", ifname.encode(), 0x1001)
        )  # TUNSETIFF: IFF_TUN, IFF_NO_PI
    return _Tun(file)


def _sources(tun: _Tun) -> set[str]:
    """The sources of all packets that left so far."""
    while select.select([tun.file], [], [], 0)[0]:
        packet = os.read(tun.file, 65536)
        if packet[0] >> 4 == 4:
            tun.sources.add(socket.inet_ntop(socket.AF_INET, packet[12:16]))
        else:
            tun.sources.add(socket.inet_ntop(socket.AF_INET6, packet[8:24]))
    return tun.sources
