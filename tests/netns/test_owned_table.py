"""A table under the gateway's name that another process owns (`flags owner`, Linux 5.12): nothing is changed."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from nvi_operator.kernel.netlink.nfnetlink import Nfnetlink
from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

_NETLINK_NETFILTER = 12
_OWNER = 2  # NFT_TABLE_F_OWNER, include/uapi/linux/netfilter/nf_tables.h


def _message(kind: int, sequence: int, family: int, subsystem: int, attributes: bytes = b"") -> bytes:
    body = struct.pack(">BBH", family, 0, subsystem) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, 0x401, sequence, 0) + body


@pytest.fixture
def owner(site: Site) -> Iterator[socket.socket]:
    """The socket that owns `inet nvi`: the table is deleted when it is closed."""
    made = site.gateway.call(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    table = struct.pack("=HH", 8, 1) + b"nvi\0" + struct.pack("=HH", 8, 2) + struct.pack(">I", _OWNER)
    with made:
        made.bind((0, 0))
        made.send(_message(0x10, 1, 0, 10) + _message(0xA00, 2, 1, 0, table) + _message(0x11, 3, 0, 10))
        yield made


def _tables() -> list[tuple[str, str, int | None]]:
    return [(table.family, table.name, table.owner) for table in Nfnetlink().tables()]


def test_a_table_that_another_process_owns_is_named_and_nothing_is_changed(
    site: Site, gateway: GatewayHost, owner: socket.socket, dataplane: str
) -> None:
    port = owner.getsockname()[0]
    before = site.gateway.call(_tables)
    assert before == [("inet", "nvi", port)], "the kernel took the flag"
    rules, routes = (site.gateway.run("ip", *words).stdout for words in (["rule"], ["route", "show", "table", "all"]))
    done = gateway.nvictl("apply", gateway.spec(spec(dataplane)), check=False)
    assert done.returncode == 1
    assert f"nft table inet nvi: changing it: the process with netlink port {port} owns it" in done.stderr
    assert "end that process" in done.stderr
    assert site.gateway.call(_tables) == before
    assert site.gateway.run("ip", "rule").stdout == rules
    assert site.gateway.run("ip", "route", "show", "table", "all").stdout == routes
    assert site.gateway.read("net/ipv4/ip_forward") == "0"


def test_once_its_owner_has_gone_the_table_is_the_operators(
    site: Site, gateway: GatewayHost, owner: socket.socket, dataplane: str
) -> None:
    owner.close()
    site.far.serve(443)
    gateway.apply(spec(dataplane))
    assert site.client.connect(site.far.address, 443).seen == A
