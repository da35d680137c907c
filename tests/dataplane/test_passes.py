"""Either dataplane with real packets: two passes, hops, the gateway's own, interfaces without Ethernet."""

from __future__ import annotations

import os
import socket
from functools import partial
from itertools import product

import pytest

from bench.dataplane import asm
from bench.dataplane.asm import R0, R1, R2, R3, Label
from tests.dataplane.bench import (
    DEVICE,
    SERVER,
    SERVER6,
    STAGE,
    WAN,
    WAN6,
    Bench,
    InInterfaceSource,
    options,
)
from tests.dataplane.netns import until
from tests.dataplane.talk import ask, datagram, received, serve, tun, upload

pytestmark = pytest.mark.netns


# --------------------------------------------------------------------------- two passes
def wan(far: str) -> str:
    """The translated address that `far` sees."""
    return WAN6 if ":" in far else WAN


def ip(far: str) -> str:
    return "ip6" if ":" in far else "ip"


def test_the_server_sees_the_translated_source(gateway: Bench) -> None:
    for far, kind in product((SERVER, SERVER6), (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
        with serve(gateway.server, far, kind) as port:
            assert ask(gateway.client, far, port, kind, b"x" * 900) == (wan(far), b"x" * 900)


def test_each_packet_takes_exactly_two_passes(gateway: Bench) -> None:
    counters = ("asked", "answered", "second")
    echo = "meta l4proto { icmp, icmpv6 } @th,0,8 { 0, 8, 128, 129 }"
    matches = (f"daddr {{}} {echo}", f"saddr {{}} {echo}", f"daddr {{}} meta mark & {STAGE:#x} == {STAGE:#x}")
    for name, match in zip(counters, matches, strict=True):
        gateway.gateway.count(name, *(f"{ip(far)} {match}".replace("{}", far) for far in (SERVER, SERVER6)))
    for far in (SERVER, SERVER6):
        assert gateway.client.pings(far)
        assert [gateway.gateway.packets(name, reset=True)[0] for name in counters] == [2, 2, 1], far
        assert gateway.counted() == {"reinjected": 2}, far


def test_the_mark_is_bare_in_stage_2(marked: Bench) -> None:
    marked.gateway.count("bare", f"ip daddr {SERVER} meta mark {STAGE:#x}")
    assert marked.client.pings(SERVER)
    assert marked.gateway.packets("bare")[0] == 1


def test_skb_iif_keeps_marks(lab: Bench) -> None:
    lab.table("skb_iif", "lan0", "wan0")
    lab.load(options("skb_iif"))
    users = "chain c { type filter hook prerouting priority -200; meta mark 0 meta mark set 42; }"
    lab.gateway.nft(f"table inet users {{ {users}; }}")
    lab.gateway.count("kept", f"ip daddr {SERVER} meta mark {STAGE | 42:#x}")
    assert lab.client.pings(SERVER)
    assert lab.gateway.packets("kept")[0] == 1


def test_gso_packets_stay_whole(gateway: Bench) -> None:
    matches = (f"oifname {DEVICE} {ip(far)} daddr {far}" for far in (SERVER, SERVER6))
    gateway.gateway.count("steered", *matches, hook="postrouting", priority=300)
    for far in (SERVER, SERVER6):
        assert upload(gateway.client, gateway.server, far, 20_000_000) == 20_000_000
        packets, octets = gateway.gateway.packets("steered", reset=True)
        assert octets > 20_000_000, far
        assert octets / packets > 3000, far


def test_the_hash_of_the_addresses_before_nat_is_gone(marked: Bench) -> None:
    """A connected socket gives its packets one (skb_set_hash_from_sk()), by which uplinks would be chosen."""
    hash_of, mark_of = 68, 8  # struct __sk_buff
    marked.foreign_filter(
        "lan0",
        "ingress",
        code=asm.encode(
            [
                asm.load(4, R2, R1, hash_of),
                asm.load(4, R3, R1, mark_of),
                asm.mov_imm(R0, 0),  # TC_ACT_OK
                asm.jump_unless(R3, STAGE, "end"),
                asm.jump_if(R2, 0, "end"),
                asm.mov_imm(R0, 2),  # TC_ACT_SHOT
                Label("end"),
                asm.leave(),
            ],
            {},
        ),
    )
    with serve(marked.server, SERVER, socket.SOCK_DGRAM) as port:
        assert ask(marked.client, SERVER, port, socket.SOCK_DGRAM, b"x") == (WAN, b"x")


# --------------------------------------------------------------------------- hop


def asked_with(hops: int) -> tuple[str, str]:
    """Matches of echo requests of both families."""
    return f"icmp type echo-request ip ttl {hops}", f"icmpv6 type echo-request ip6 hoplimit {hops}"


def test_hide_hop_gives_one_hop_back(gateway: Bench) -> None:
    for hide_hop, left in ((False, 62), (True, 63)):
        gateway.load(options(gateway.source, hide_hop=hide_hop))
        gateway.server.count(f"seen-{left}", *asked_with(left))
        for far in (SERVER, SERVER6):
            # The kernel drops IPv4 packets whose checksum is wrong, so an answer also proves that.
            assert gateway.client.pings(far, "-t64")
            assert gateway.server.packets(f"seen-{left}", reset=True)[0] == 1, far


def test_hide_hop_never_wraps(marked: Bench) -> None:
    """255 reaches the device only from the gateway itself."""
    marked.load(options(hide_hop=True))
    own_by_nat(marked)
    marked.server.count("seen", *asked_with(254))
    for far in (SERVER, SERVER6):
        assert marked.gateway.pings(far, "-t255", f"-I{wan(far)}")
        assert marked.server.packets("seen", reset=True)[0] == 1, far


# --------------------------------------------------------------------------- the gateway's own


def own_by_nat(lab: Bench) -> None:
    """The gateway's own echo requests take the NAT way."""
    for family, far in (("-4", SERVER), ("-6", SERVER6)):
        lab.gateway.run(f"ip {family} rule add pref 90 iif lo to {far} fwmark 0/{STAGE:#x} lookup 100")


def test_own_packets_come_back_in_by_the_device(gateway: Bench) -> None:
    own_by_nat(gateway)
    gateway.gateway.count("own", f"iifname {DEVICE} meta l4proto {{ icmp, icmpv6 }}")
    for far in (SERVER, SERVER6):
        assert gateway.gateway.pings(far, f"-I{wan(far)}")
        assert gateway.gateway.packets("own", reset=True)[0] == 1, far
        assert gateway.counted() == {"reinjected": 1}, far


# --------------------------------------------------------------------------- an in-interface without Ethernet header


@pytest.mark.parametrize("source", ["mark", "skb_iif"])
def test_an_interface_without_ethernet_header(lab: Bench, source: InInterfaceSource) -> None:
    with tun(lab, "tun0", "10.9.0.1/24", "fd09::1/64") as fd:
        lab.table(source, "lan0", "wan0", "tun0")
        for family in ("-4", "-6"):
            lab.gateway.run(f"ip {family} rule add pref 100 iif tun0 fwmark 0/{STAGE:#x} lookup 100")
        assert lab.port("tun0").mac is None
        for hide_hop in (False, True):
            lab.load(options(source, hide_hop=hide_hop), "lan0", "wan0", "tun0")
            for far, near in ((SERVER, "10.9.0.2"), (SERVER6, "fd09::2")):
                with serve(lab.server, far, socket.SOCK_DGRAM) as port:
                    os.write(fd, datagram(near, far, port, b"hello"))
                    answer = until(partial(received, fd, near), "the answer comes by tun0", seconds=15)
                assert answer == f"{wan(far)} hello".encode(), f"hide_hop {hide_hop}"
            assert lab.counted() == {"reinjected": 4}, f"hide_hop {hide_hop}"
