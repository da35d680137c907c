"""The laboratory's traffic: servers say whom they saw; bulk, fragments and small paths are noticed."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.net import until

pytestmark = pytest.mark.netns

FAMILIES = pytest.mark.parametrize("family", [4, 6])


class Hop:
    """one --- router --- two, where the second link is narrow."""

    def __init__(self, lab: Lab, *, mtu: int = 1500) -> None:
        self.one, self.router, self.two = lab.host("one"), lab.host("router"), lab.host("two")
        lab.link(self.one, "eth0", self.router, "r1")
        lab.link(self.two, "eth0", self.router, "r2")
        # Narrow on the router's side only: two announces the usual MSS, and one has to be told.
        self.router.ip(f"link set dev r2 mtu {mtu}")
        self.router.write("net/ipv4/ip_forward", "1")
        self.router.write("net/ipv6/conf/all/forwarding", "1")
        for number, host in ((1, self.one), (2, self.two)):
            self.router.ip(
                f"addr add 10.0.{number}.1/24 dev r{number}", f"addr add fd0{number}::1/64 dev r{number} nodad"
            )
            host.address, host.address6 = f"10.0.{number}.2", f"fd0{number}::2"
            host.ip(
                f"addr add {host.address}/24 dev eth0",
                f"addr add {host.address6}/64 dev eth0 nodad",
                f"route add default via 10.0.{number}.1",
                f"route add ::/0 via fd0{number}::1",
            )


def address(host: Host, family: int) -> str:
    return host.address if family == 4 else host.address6


@FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp", "icmp"])
def test_the_server_says_whom_it_saw_and_who_it_is(lab: Lab, protocol: str, family: int) -> None:
    path = Hop(lab)
    port = 0 if protocol == "icmp" else 443
    path.two.serve(port, protocol=protocol)
    one, two = address(path.one, family), address(path.two, family)
    with path.one.connect(two, port, protocol=protocol, source=one, source_port=40404) as flow:
        assert (flow.seen, flow.seen_port, flow.by, flow.size) == (one, 40404, "two", 6)
        for _ in range(3):
            assert flow.again().seen_port == 40404
        with path.one.connect(two, port, protocol=protocol) as other:
            assert other.seen_port != flow.again().seen_port


@FAMILIES
def test_a_host_that_is_not_there_is_reported_in_time(lab: Lab, family: int) -> None:
    path = Hop(lab)
    for protocol in ("tcp", "udp", "icmp"):
        assert not path.one.reaches(address(path.two, family), 443, protocol=protocol)
    assert path.one.pings(address(path.two, family)), "the kernel answers pings, but it does not say whom it saw"


@FAMILIES
def test_an_icmp_server_does_not_disturb_ping(lab: Lab, family: int) -> None:
    path = Hop(lab)
    path.two.serve(protocol="icmp")
    assert "DUP" not in path.one.ping(address(path.two, family)).stdout


@FAMILIES
def test_bulk_arrives_whole_in_both_directions(lab: Lab, family: int) -> None:
    path = Hop(lab, mtu=1400)
    path.two.serve(443)
    with path.one.connect(address(path.two, family), 443) as flow:
        assert flow.upload(2_000_000).size == 2_000_001
        assert flow.mtu == 1400
        flow.download(2_000_000)
        assert flow.again().by == "two"


@FAMILIES
def test_damage_is_noticed(lab: Lab, family: int) -> None:
    """A middlebox that changes one byte and puts the checksum right."""
    path = Hop(lab)
    path.two.serve(53, protocol="udp")
    path.router.nft(
        "table inet damage { chain c { type filter hook forward priority 0;"
        " meta l4proto udp udp dport 53 @th,64,8 set 0x58; }; }"
    )
    with pytest.raises(AssertionError, match="not as sent"):
        path.one.connect(address(path.two, family), 53, protocol="udp")


@FAMILIES
def test_datagrams_travel_in_fragments_or_not_at_all(lab: Lab, family: int) -> None:
    path = Hop(lab, mtu=1400)
    path.two.serve(53, protocol="udp")
    two = address(path.two, family)
    headers = 28 if family == 4 else 48
    with path.one.connect(two, 53, protocol="udp", df=True) as flow:
        flow.again(b"x" * (1400 - headers - 1))
        with pytest.raises(OSError) as caught:
            flow.again(b"x" * (1400 - headers))
        assert caught.value.errno == errno.EMSGSIZE
        assert until(lambda: flow.mtu == 1400, "the router's word arrives")
    with path.one.connect(two, 53, protocol="udp") as flow:
        assert flow.again(b"x" * 4000).size == 4001


def test_a_socket_stays_in_its_namespace(lab: Lab) -> None:
    path = Hop(lab)
    with path.one.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((path.one.address, 0))
        with pytest.raises(OSError):
            sock.bind((path.two.address, 0))
    assert "eth0" in path.one.call(Path("/proc/thread-self/net/dev").read_text)
