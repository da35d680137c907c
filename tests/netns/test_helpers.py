"""Conntrack helpers, which another table assigns: connections that they expect cross the gateway as others do."""

from __future__ import annotations

import re
import socket

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

HELPERS = """\
table inet helpers {
    ct helper ftp { type "ftp" protocol tcp; }
    ct helper sip { type "sip" protocol udp; }
    chain assign {
        type filter hook prerouting priority filter;
        tcp dport 21 ct helper set "ftp"
        udp dport 5060 ct helper set "sip"
    }
}
"""
FTP = """\
    ftp:
      ports: 21/tcp
      to: [192.168.1.80, "fd00:1::80"]
"""
INVITE = """\
INVITE sip:bob@{far} SIP/2.0
Via: SIP/2.0/UDP {own}:5060;branch=z9hG4bK1
From: <sip:alice@{own}>;tag=1
To: <sip:bob@{far}>
Call-ID: 1
CSeq: 1 INVITE
Contact: <sip:alice@{own}:5060>
Content-Type: application/sdp
Content-Length: {length}

"""
MEDIA = """\
v=0
o=- 1 1 IN IP4 {own}
s=-
c=IN IP4 {own}
t=0 0
m=audio 4000 RTP/AVP 0
"""


@pytest.fixture
def text(site: Site, dataplane: str) -> str:
    site.gateway.nft(HELPERS)
    return spec(dataplane).replace("  forwards:\n", "  forwards:\n" + FTP)


def open_socket(host: Host, address: str, port: int = 0, *, kind: int = socket.SOCK_STREAM) -> socket.socket:
    made = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.settimeout(5)
    made.bind((address, port))
    if kind == socket.SOCK_STREAM:
        made.listen(1)
    return made


class Control:
    """The control connection of FTP, past its first lines, in which the helper finds its place."""

    def __init__(self, client: Host, server: Host, at: str, source: str, public: str = "") -> None:
        with open_socket(server, at, 21) as listening:
            self.client = client.socket(listening.family, socket.SOCK_STREAM)
            self.client.settimeout(5)
            self.client.bind((source, 0))
            self.client.connect((public or at, 21))
            self.server, _ = listening.accept()
        self.says(self.server, self.client, "220 ready")
        self.says(self.client, self.server, "USER anonymous")
        self.says(self.server, self.client, "230 come in")

    def says(self, one: socket.socket, other: socket.socket, line: str) -> str:
        one.sendall(f"{line}\r\n".encode())
        return other.recv(1000).decode()

    def close(self) -> None:
        self.client.close()
        self.server.close()


def numbers(address: str, port: int) -> str:
    return f"{address.replace('.', ',')},{port >> 8},{port & 255}"


def named(line: str) -> tuple[str, int]:
    """The address and port of a line of FTP."""
    if found := re.search(r"(\d+,\d+,\d+,\d+),(\d+),(\d+)", line):
        return found[1].replace(",", "."), int(found[2]) << 8 | int(found[3])
    found = re.search(r"\|([0-9a-f:]*)\|(\d+)\|", line)
    assert found, line
    return found[1], int(found[2])


def test_a_server_of_active_ftp_connects_to_inside_clients(site: Site, gateway: GatewayHost, text: str) -> None:
    gateway.apply(text)
    for client, own, far in (
        (site.client, site.client.address, site.far.address),
        (site.server, site.server.address, site.far.address),
        (site.client, site.client.address6, site.far.address6),
    ):
        control = Control(client, site.far, far, own)
        with open_socket(client, own) as data:
            port = data.getsockname()[1]
            asked = f"EPRT |2|{own}|{port}|" if ":" in own else f"PORT {numbers(own, port)}"
            target = named(control.says(control.client, control.server, asked))
            with open_socket(site.far, far) as source:
                place = source.getsockname()[:2]
            with site.far.socket(data.family, socket.SOCK_STREAM) as back:
                back.settimeout(5)
                back.bind(place)
                back.connect(target)
                accepted, peer = data.accept()
                accepted.close()
        assert peer[0] == far
        control.close()
    assert site.leaks() == 0


def test_a_published_server_of_passive_ftp_is_reached_by_every_uplink_and_from_inside(
    site: Site, gateway: GatewayHost, text: str
) -> None:
    gateway.apply(text)
    for client, source, public in (
        (site.far, site.far.address, A),
        (site.far, site.far.address, B),
        (site.client, site.client.address, A),
        (site.client, site.client.address, B),
        (site.far, site.far.address6, A6),
        (site.far, site.far.address6, B6),
    ):
        own = site.server.address6 if ":" in public else site.server.address
        control = Control(client, site.server, own, source, public)
        with open_socket(site.server, own) as data:
            port = data.getsockname()[1]
            told = f"229 (|||{port}|)" if ":" in own else f"227 ({numbers(own, port)})"
            address, port = named(control.says(control.server, control.client, told))
            assert address in ("", public), "the inside address is shown to no client"
            with client.socket(data.family, socket.SOCK_STREAM) as asking:
                asking.settimeout(5)
                asking.bind((source, 0))
                asking.connect((public, port))
                data.accept()[0].close()
        control.close()
    assert site.leaks() == 0


def test_media_of_a_sip_call_comes_in(site: Site, gateway: GatewayHost, text: str) -> None:
    gateway.apply(text)
    datagrams = socket.SOCK_DGRAM
    for client, public in ((site.client, A), (site.server, B)):
        own, far = client.address, site.far.address
        media = MEDIA.format(own=own).replace("\n", "\r\n")
        invite = INVITE.format(own=own, far=far, length=len(media)).replace("\n", "\r\n")
        with (
            open_socket(site.far, far, 5060, kind=datagrams) as called,
            open_socket(site.far, far, 7000, kind=datagrams) as speaker,
            open_socket(client, own, 5060, kind=datagrams) as phone,
            open_socket(client, own, 4000, kind=datagrams) as ear,
        ):
            phone.sendto((invite + media).encode(), (far, 5060))
            arrived = called.recv(2000).decode()
            assert f"c=IN IP4 {public}\r\n" in arrived
            assert own not in arrived
            found = re.search(r"m=audio (\d+)", arrived)
            assert found
            speaker.sendto(b"hello", (public, int(found[1])))
            assert ear.recv(100) == b"hello"
    assert site.leaks() == 0
