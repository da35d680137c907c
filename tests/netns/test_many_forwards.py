"""More forwards than one map is made for: several maps, asked one after the other, and the change to them.

Once with maps of their true size; what becomes of several maps does not depend on it.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest

from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.netlink.nfnetlink import Nfnetlink
from nvi_operator.kernel.netns import entered
from nvi_operator.nft import shards
from nvi_operator.nft.wire.codec import elements
from tests.lab import GatewayHost, Site
from tests.netns.scenarios import spec
from tests.netns.test_fail_closed import Operator

pytestmark = pytest.mark.netns

PUBLIC, SERVER = "203.0.113.17", "192.168.1.80"
MOST = shards.ROOM // 2  # that one map is for
FIRST = 20_000


def forwards(count: int) -> str:
    """So many ports, each to another of the server."""
    rows = (f'    many-{n}: {{at: {PUBLIC}, ports: {FIRST + n}/tcp, to: "{SERVER}:{1 + n}"}}\n' for n in range(count))
    return spec(more="".join(rows))


@pytest.fixture
def operator(site: Site) -> Operator:
    return Operator(site)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many forwards one map is made for, where maps are small."""
    monkeypatch.setattr(shards, "ROOM", 4096)
    return 2048


def maps(site: Site) -> list[str]:
    listing = site.gateway.run("nft", "list", "chain", "inet", "nvi", "dstnat").stdout
    return sorted({word for word in listing.split() if word.startswith("@dnat_port_4")})


def where(site: Site, port: int) -> str:
    """The map that holds a port."""
    with entered(site.gateway.netns), Nfnetlink() as wire:
        held = {name: wire.elements("nvi", name[1:], elements) for name in maps(site)}
    key = struct.pack("!4sBxxxHxx", ip_address(PUBLIC).packed, socket.IPPROTO_TCP, port)
    (name,) = (name for name, found in held.items() if any(key in element[:24] for element in found))
    return name


def test_forwards_in_every_map_reach_their_server(
    site: Site, operator: Operator, gateway: GatewayHost, tmp_path: Path
) -> None:
    operator.apply(forwards(MOST + 500))
    assert maps(site) == ["@dnat_port_4_0_of_2", "@dnat_port_4_1_of_2"]
    ports = {where(site, FIRST + n): n for n in range(0, MOST + 500, 3000)}
    assert len(ports) == 2
    for n in ports.values():
        site.server.serve(1 + n)
        assert site.far.connect(PUBLIC, FIRST + n).by == "server"
    assert not site.far.reaches(PUBLIC, FIRST + MOST + 500)
    file = tmp_path / "gateway.yaml"
    file.write_text(forwards(MOST + 500))
    assert gateway.differences(file) == []
    assert site.leaks() == 0


def test_what_is_changed_in_one_of_them_is_healed(site: Site, operator: Operator, few: int) -> None:
    operator.apply(forwards(few + 1))
    mine = where(site, FIRST + 76)[1:]
    (other,) = (name[1:] for name in maps(site) if name[1:] != mine)
    strange = f"{{ {PUBLIC} . tcp . 9 : {SERVER} . 77 }}"
    site.gateway.nft(f"add element inet nvi {other} {strange}\nflush map inet nvi {mine}")
    site.server.serve(77)
    assert not site.far.reaches(PUBLIC, FIRST + 76)
    assert operator.apply(forwards(few + 1)) == 1
    assert site.far.connect(PUBLIC, FIRST + 76).by == "server"
    assert not site.far.reaches(PUBLIC, 9)


def test_a_forward_answers_in_every_moment_of_a_change_to_more_maps_and_back(
    site: Site, operator: Operator, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.apply(forwards(few - 100))
    site.server.serve(1 + 7)
    transactions = 0

    def answering(name: str) -> None:
        real = getattr(NftTableDriver, name)

        def run(driver: NftTableDriver, step: object) -> None:
            nonlocal transactions
            transactions += 1
            assert site.far.connect(PUBLIC, FIRST + 7).by == "server"
            real(driver, step)
            assert site.far.connect(PUBLIC, FIRST + 7).by == "server"

        monkeypatch.setattr(NftTableDriver, name, run)

    answering("_apply_text")
    answering("_apply_elements")
    with site.far.connect(PUBLIC, FIRST + 7) as flow:
        operator.apply(forwards(few + 1))
        assert transactions == 3, "made, filled, asked"
        assert len(maps(site)) == 2
        operator.apply(forwards(few - 100))
        assert len(maps(site)) == 1
        assert flow.again().by == "server"
    assert site.leaks() == 0
