"""Devices, namespaces and the module are created and removed while packets are on their way."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from tests.dataplane.bench import DEVICE, LAN, SERVER, STAGE, Bench, bench, options, working
from tests.dataplane.netns import until, wire
from tests.dataplane.talk import flood

pytestmark = pytest.mark.netns


def moving(lab: Bench) -> None:
    """Waits until packets are being handed back."""
    before = lab.counters()["reinjected"]
    until(lambda: lab.counters()["reinjected"] > before + 20, "packets on their way")


def relink(lab: Bench) -> None:
    wire(lab.client, "eth0", lab.gateway, "lan0")
    lab.client.run("ip address add 10.1.0.2/24 dev eth0")
    lab.client.run(f"ip route add default via {LAN}")
    lab.gateway.run(f"ip address add {LAN}/24 dev lan0")


@pytest.mark.parametrize("source", ["mark", "skb_iif"])
def test_an_in_interface_is_deleted_and_created_again_under_flood(source: str) -> None:
    with working(source, "kmod") as lab, flood(lab.client, SERVER):  # type: ignore[arg-type]
        for _ in range(5):
            moving(lab)
            lab.gateway.run("ip link del lan0")
            relink(lab)
            index = lab.port("lan0").ifindex
            lab.gateway.nft(f"add element inet nvi marks {{ {index} : {STAGE | index:#x} }}")
        moving(lab)


def test_an_in_interface_is_renamed_under_flood(translating: Bench) -> None:
    """Its index stays the same, so packets are handed back as long as a rule steers them."""
    translating.steer_from("lan9")
    with flood(translating.client, SERVER):
        moving(translating)
        translating.gateway.run("ip link set lan0 down")
        translating.gateway.run("ip link set lan0 name lan9")
        translating.gateway.run("ip link set lan9 up")
        moving(translating)


def test_the_device_is_deleted_under_flood(translating: Bench) -> None:
    translating.server.count("untranslated", "ip saddr 10.0.0.0/8")
    with flood(translating.client, SERVER):
        for _ in range(5):
            moving(translating)
            translating.gateway.run(f"ip link del {DEVICE}")
            translating.gateway.run(f"ip link add {DEVICE} group 78 type nvi")
            translating.gateway.run(f"ip link set {DEVICE} up")
            translating.gateway.run(f"ip route add default dev {DEVICE} table 100")
        moving(translating)
    assert translating.server.packets("untranslated")[0] == 0


def test_attributes_change_under_flood(translating: Bench) -> None:
    with flood(translating.client, SERVER):
        moving(translating)
        for number in range(200):
            translating.set_attributes(in_interface=number % 2, ttl_compensation=number // 2 % 2)
        translating.set_attributes(in_interface=0)
        moving(translating)


def test_a_namespace_is_deleted_with_the_device_in_it_under_flood() -> None:
    for _ in range(3):
        with bench("kmod") as lab:
            lab.table("mark", "lan0", "wan0")
            lab.load(options())
            with flood(lab.client, SERVER):
                moving(lab)
                lab.gateway.run("ip link set wan0 down")
                lab.ipr.close()  # its socket keeps the namespace alive
                lab.gateway.close()


def test_the_same_name_in_two_namespaces_is_two_devices(translating: Bench) -> None:
    translating.server.run(f"ip link add {DEVICE} type nvi")
    assert translating.client.pings(SERVER)
    assert translating.nonzero() == {"reinjected": 2}
    assert "reinjected: 0" in translating.server.run(f"ethtool -S {DEVICE}")


def test_a_moved_device_hands_back_in_its_new_namespace(translating: Bench) -> None:
    index = translating.port("lan0").ifindex
    gateway = translating.gateway.name
    translating.client.run(f"ip link add moved netns {gateway} type nvi")
    translating.gateway.run(f"ip link set moved netns {translating.client.name}")
    translating.client.run("ip link set moved up")
    (link,) = json.loads(translating.client.run("ip -d -j link show moved"))
    assert link["inet6_addr_gen_mode"] == "none"
    assert "fe80::" not in translating.client.run("ip address show moved")

    def inject() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", STAGE | index + 500))
            raw.sendto(b"\x45" + bytes(59), ("moved", 0x0800))

    translating.client.call(inject)
    assert "no_device: 1" in translating.client.run("ethtool -S moved")


def test_the_module_is_unloaded_under_flood() -> None:
    """All its devices are removed with it, and nothing untranslated leaves meanwhile."""
    with working("mark", "kmod") as lab:
        lab.server.count("untranslated", "ip saddr 10.0.0.0/8")
        with flood(lab.client, SERVER):
            for _ in range(3):
                moving(lab)
                subprocess.run(["modprobe", "-r", "nvi"], check=True)
                assert not Path("/sys/module/nvi").exists()
                assert DEVICE not in lab.gateway.run("ip link")
                subprocess.run(["modprobe", "nvi"], check=True)
                lab.gateway.run(f"ip link add {DEVICE} group 78 type nvi")
                lab.gateway.run(f"ip link set {DEVICE} up")
                lab.gateway.run(f"ip route add default dev {DEVICE} table 100")
            moving(lab)
        assert lab.server.packets("untranslated")[0] == 0


def test_many_devices_are_created_and_deleted(kmod: Bench) -> None:
    for _ in range(3):
        lines = "".join(f"link add n{index} type nvi\nlink set n{index} up\n" for index in range(100))
        kmod.gateway.run("ip -batch -", text=lines)
        kmod.gateway.run("ip -batch -", text="".join(f"link del n{index}\n" for index in range(100)))
    assert kmod.gateway.run("ip -br link show type nvi").split()[0] == DEVICE
