"""Forwards of GRE, ESP, protocols by number, UDP-Lite and SCTP: answers, clients inside, checksums, plan."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.topologies import FAR, FAR6, OTHER, OTHER6
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

FORWARDS = """\
    tunnel:
      protocol: [gre, 41]
      ports: 1701/udp
      to: [192.168.1.80, "fd00:1::80"]
    vpn:
      at: [isp-a, isp-b]
      protocol: esp
      from: [192.0.2.0/24, "2001:db8:f::/64", 192.168.1.0/24, "fd00:1::/64"]
      to: [192.168.1.80, "fd00:1::80"]
    moved:
      ports: [5000/udplite, 5000/sctp]
      to: ["192.168.1.80:6000", "[fd00:1::80]:6000"]
"""
NUMBERS = {"gre": 47, "41": 41, "esp": 50}
PAYLOADS = {
    "gre": bytes(2) + b"\x08\x00" + b"question",
    "41": b"question",
    "esp": struct.pack("!II", 7, 1) + bytes(16),
}


class Raw:
    """A socket that sends and receives packets of one protocol, without the kernel's part in it."""

    def __init__(self, host: Host, public: str, protocol: int, source: str) -> None:
        self.family = socket.AF_INET6 if ":" in public else socket.AF_INET
        self._socket = host.socket(self.family, socket.SOCK_RAW, protocol)
        self._socket.bind((source, 0))
        self._socket.settimeout(3)

    def send(self, data: bytes, to: str) -> None:
        self._socket.sendto(data, (to, 0))

    def receive(self) -> tuple[bytes, str]:
        data, (address, *_) = self._socket.recvfrom(2048)
        return data[20:] if self.family == socket.AF_INET else data, address

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def edge(site: Site, gateway: GatewayHost, dataplane: str) -> Iterator[Site]:
    gateway.apply(spec(dataplane, FORWARDS))
    yield site
    assert site.leaks() == 0


def asked(site: Site, client: str, public: str, protocol: int, payload: bytes) -> tuple[bytes, str, str]:
    """What arrives at the server and from whom, and who answers. `client` is the far host's address or the LAN's."""
    host = site.client if client in (site.client.address, site.client.address6) else site.far
    inside = site.server.address6 if ":" in public else site.server.address
    one, other = Raw(host, public, protocol, client), Raw(site.server, public, protocol, inside)
    try:
        one.send(payload, public)
        data, seen = other.receive()
        other.send(payload, seen)
        return data, seen, one.receive()[1]
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("protocol", NUMBERS)
def test_a_protocol_is_forwarded_and_answered_from_the_address_that_was_asked(edge: Site, protocol: str) -> None:
    number, payload = NUMBERS[protocol], PAYLOADS[protocol]
    # Without ports two public addresses need two clients: what tells two flows apart is addresses alone.
    for public, isp, far in (
        (A, "isp-a", FAR),
        (A6, "isp-a", FAR6),
        (B, "isp-b", OTHER),
        (B6, "isp-b", OTHER6),
    ):
        before = edge.used()
        assert asked(edge, far, public, number, payload) == (payload, far, public)
        assert edge.through(before)[0] == {isp}, "the answer leaves by the uplink that was asked"
        near = edge.client.address6 if ":" in public else edge.client.address
        seen = asked(edge, near, public, number, payload)
        assert seen == (payload, public, public), "and a client beside the server asks by the public address"
    edge.far.serve(443)
    with edge.client.connect(edge.far.address, 443):
        pass


def test_other_clients_and_other_protocols_are_not_forwarded(edge: Site) -> None:
    for source, protocol in (("172.31.1.2", "esp"), (FAR, "ah")):
        number = {"esp": 50, "ah": 51}[protocol]
        one, other = Raw(edge.far, A, number, source), Raw(edge.server, A, number, edge.server.address)
        one.send(PAYLOADS["esp"], A)
        other._socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            other.receive()
        one.close()
        other.close()


def sum16(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udplite(source: str, destination: str, ports: tuple[int, int], payload: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    size = 8 + len(payload)
    pseudo = ends + (struct.pack("!IHBB", size, 0, 0, 136) if ":" in source else struct.pack("!BBH", 0, 136, size))
    head = struct.pack("!HHHH", *ports, 0, 0)
    checksum = 0xFFFF ^ sum16(pseudo + head + payload)
    return struct.pack("!HHHH", *ports, 0, checksum) + payload


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def sctp_init(ports: tuple[int, int]) -> bytes:
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 1)
    head = struct.pack("!HHI", *ports, 0)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def test_udp_lite_and_sctp_are_forwarded_by_port_with_right_checksums(edge: Site) -> None:
    # Linux 6.18 checks a UDP-Lite checksum as if it was UDP's (udplite_error()), and finds each packet invalid.
    edge.gateway.write("net/netfilter/nf_conntrack_checksum", "0")
    for public in (A, B6):
        far, inside = (h.address6 if ":" in public else h.address for h in (edge.far, edge.server))
        for number, packet in (
            (136, udplite(far, public, (4000, 5000), b"question")),
            (132, sctp_init((4000, 5000))),
        ):
            one, other = Raw(edge.far, public, number, far), Raw(edge.server, public, number, inside)
            one.send(packet, public)
            data, seen = other.receive()
            assert (seen, struct.unpack("!HH", data[:4])) == (far, (4000, 6000))
            if number == 136:
                assert data == udplite(far, inside, (4000, 6000), b"question")
            else:
                assert data == sctp_init((4000, 6000))
            one.close()
            other.close()


def test_the_plan_and_the_list_of_forwards_name_the_protocol(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    first = gateway.spec(spec(dataplane, FORWARDS))
    gateway.apply(first)
    asked(site, FAR, A, 47, PAYLOADS["gre"])
    shown = gateway.nvictl("show", "nat", "forwards", str(first)).stdout
    assert any(line.split()[:3] == ["tunnel", A, "gre"] and line.split()[4] == "1" for line in shown.splitlines())
    moved = gateway.spec(spec(dataplane, FORWARDS.replace("to: [192.168.1.80,", "to: [192.168.1.81,", 1)))
    planned = gateway.nvictl("plan", str(moved), "--full", check=False).stdout
    assert "gre, protocol 41 on isp-a, isp-b now go to 192.168.1.81, no longer to 192.168.1.80" in planned
    assert "1 flow stranded: forwards of 203.0.113.2 are removed or moved" in planned
