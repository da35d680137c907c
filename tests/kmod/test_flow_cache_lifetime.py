"""A flow cache comes and goes, and so do its interfaces, while packets take the fast path."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dataplane.bench import DEVICE, SERVER, STAGE, WAN, Bench, bench, options, working
from tests.dataplane.netns import until, wire
from tests.dataplane.talk import flood
from tests.kmod.flows import cached, flow_cache, talk, took
from tests.kmod.test_in_interfaces import bridge, gre, vlan, vrf
from tests.kmod.test_lifetime import relink

pytestmark = pytest.mark.netns


def hitting(lab: Bench) -> None:
    """Waits until packets take the fast path."""
    before = lab.counters()["flow_hit"]
    until(lambda: lab.counters()["flow_hit"] > before + 50, f"the fast path is taken: {lab.nonzero()}", seconds=20)


@pytest.fixture
def busy() -> Iterator[Bench]:
    """A gateway with a flow cache, and a flood from known clients."""
    with working("mark", "kmod") as lab:
        lab.set_attributes(flow_cache=1)
        with echoing(lab), flood(lab.client, SERVER):
            hitting(lab)
            yield lab


@contextmanager
def echoing(lab: Bench) -> Iterator[None]:
    """A server that answers the first datagrams of each of the flood's flows, so that conntrack has seen a reply."""
    code = (
        "import select, socket\n"
        "socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64)]\n"
        f"[sock.bind(('{SERVER}', 2000 + n)) for n, sock in enumerate(socks)]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for sock in select.select(socks, [], [])[0]:\n"
        "        data, peer = sock.recvfrom(64)\n"
        "        sock.sendto(data, peer)\n"
    )
    argv = ["ip", "netns", "exec", lab.server.name, "python3", "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def test_the_module_is_unloaded_while_packets_take_the_fast_path(busy: Bench) -> None:
    subprocess.run(["modprobe", "-r", "nvi"], check=True)
    assert not Path("/sys/module/nvi").exists()
    subprocess.run(["modprobe", "nvi"], check=True)
    busy.gateway.run(f"ip link add {DEVICE} group 79 type nvi")
    busy.gateway.run(f"ip link set {DEVICE} up")
    busy.gateway.run(f"ip route add default dev {DEVICE} table 100")
    busy.set_attributes(flow_cache=1)
    hitting(busy)


def test_the_cache_is_switched_off_and_on(busy: Bench) -> None:
    for _ in range(2):
        busy.set_attributes(flow_cache=0)
        assert not any(number for name, number in busy.counters().items() if name.startswith("flow_"))
        busy.set_attributes(flow_cache=1)
        hitting(busy)


def test_its_device_is_set_down_while_entries_are_told(busy: Bench) -> None:
    with flow_cache(busy) as cache:
        flows = cache.flows()
        next(flows)
        busy.gateway.run(f"ip link set {DEVICE} down")  # a listing that is not finished keeps the table
        list(flows)
        with pytest.raises(OSError, match="No such file"):
            cache.invalidate()
    busy.gateway.run(f"ip link set {DEVICE} up")
    busy.gateway.run(f"ip route add default dev {DEVICE} table 100")
    hitting(busy)


@pytest.mark.parametrize("ifname", ["lan0", "wan0"])
def test_an_interface_is_deleted_and_created_again(busy: Bench, ifname: str) -> None:
    for _ in range(2):
        busy.gateway.run(f"ip link del {ifname}")
        if ifname == "lan0":
            relink(busy)
        else:
            wire(busy.gateway, "wan0", busy.server, "eth0")
            busy.gateway.run(f"ip address add {WAN}/24 dev wan0")
            busy.server.run(f"ip address add {SERVER}/24 dev eth0")
        index = busy.port(ifname).ifindex
        busy.gateway.nft(f"add element inet nvi marks {{ {index} : {STAGE | index:#x} }}")
        hitting(busy)


def test_the_namespace_is_deleted(busy: Bench) -> None:
    """Entries hold connections and routes, for which the namespace's end waits."""
    busy.ipr.close()  # its socket keeps the namespace alive
    busy.gateway.close()


@pytest.mark.parametrize("make", [vlan, bridge, gre, vrf], ids=lambda made: made.__name__)
def test_flows_that_come_in_by(make: Callable[[Bench], str]) -> None:
    """Of a VRF's ports they take the slow path."""
    with bench("kmod") as lab:
        ifname = make(lab)
        lab.steer_from(ifname)
        lab.table("mark", ifname, "wan0")
        lab.load(options("mark"), ifname, "wan0")
        lab.set_attributes(flow_cache=1)
        with talk(lab) as flow:
            if make is vrf:
                for _ in range(20):
                    flow.ask()
                assert lab.counters()["flow_unsupported"] > 0
                assert lab.counters()["flow_hit"] == 0
                return
            cached(lab, flow)
            before = lab.counters()
            flow.ask()
            assert took(lab, before) == {"cached": 2}
