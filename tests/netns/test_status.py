"""`nvictl status` tells by its words and its exit code whether a gateway works, and what of it does not."""

from __future__ import annotations

import json

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

MAIL = "    mail: {at: isp-a, ports: 25/tcp, to: 192.168.1.80:8443}\n"


def test_an_interface_that_goes_down_is_a_fault_until_it_is_back(site: Site, gateway: GatewayHost) -> None:
    directory = gateway.spec(spec(more=MAIL))

    def status() -> tuple[int, str]:
        done = gateway.nvictl("status", directory, check=False)
        return done.returncode, done.stdout

    code, text = status()
    assert (code, text.splitlines()[0]) == (1, "gateway edge: not applied: no nvi device in this network namespace")
    gateway.apply(directory)
    code, text = status()
    assert (code, text.splitlines()[0]) == (0, "gateway edge: in sync: as the spec says")

    site.gateway.ip("link set wan0 down")
    gateway.apply(directory)  # all that can be applied is: what is left are faults
    code, text = status()
    head, *rest = text.splitlines()
    assert (code, head) == (1, "gateway edge: degraded: 2 faults")
    assert rest[:2] == [
        "fault   uplink isp-a: wan0 is down",
        "fault   forward mail: no uplink that it is published on works",
    ]
    assert "as the spec says" not in text
    data = json.loads(gateway.nvictl("status", directory, "-o", "json", check=False).stdout)
    assert (data["inSync"], data["working"], len(data["degraded"])) == (True, False, 2)

    def in_sync() -> bool:
        gateway.apply(directory)
        return gateway.nvictl("drift", directory, check=False).returncode == 0

    site.gateway.ip("link set wan0 up")
    until(in_sync, "it is in sync when the kernel has its routes of the interface again")


def test_a_gateway_of_which_no_interface_is_there_is_degraded(gateway: GatewayHost) -> None:
    directory = gateway.spec(spec().replace("lan0", "lan7").replace("wan0", "wan7").replace("wan1", "wan8"))
    gateway.apply(directory)
    done = gateway.nvictl("status", directory, check=False)
    assert done.returncode == 1
    assert "as the spec says" not in done.stdout
    for fault in ("interface lan7 is absent", "uplink isp-a: wan7 is absent", "uplink isp-b: wan8 is absent"):
        assert f"fault   {fault}\n" in done.stdout


def test_an_error_has_an_exit_code_of_its_own(gateway: GatewayHost) -> None:
    gateway.host.ip("link add nvi0 type bridge")
    refused = gateway.nvictl("status", gateway.spec(spec()), check=False)
    assert (refused.returncode, refused.stdout) == (2, "")


def _without_addresses(site: Site, *uplinks: str) -> None:
    for ifname, *addresses in (("wan0", A, A6), ("wan1", B, B6)):
        length = {4: 29, 6: 64}
        for address in addresses if ifname in uplinks else ():
            site.gateway.ip(f"addr del {address}/{length[6 if ':' in address else 4]} dev {ifname}")


def test_an_address_that_is_lost_is_a_fault(site: Site, gateway: GatewayHost) -> None:
    directory = gateway.spec(spec())
    _without_addresses(site, "wan1")
    gateway.apply(directory)
    done = gateway.nvictl("status", directory, check=False)
    head, *rest = done.stdout.splitlines()
    assert (done.returncode, head) == (1, "gateway edge: degraded: 2 faults")
    assert rest[:2] == [f"fault   uplink isp-b: {address} is on no interface" for address in (B, B6)]


def test_a_gateway_of_a_pair_without_the_virtual_addresses_is_on_standby(site: Site, gateway: GatewayHost) -> None:
    directory = gateway.spec(spec().replace("      nextHop:", "      virtual: true\n      nextHop:"))
    _without_addresses(site, "wan0", "wan1")
    gateway.apply(directory)
    done = gateway.nvictl("status", directory)
    head = "gateway edge: standby: as the spec says, and another gateway has the virtual addresses"
    assert done.stdout.splitlines()[0] == head
    data = json.loads(gateway.nvictl("status", directory, "-o", "json").stdout)
    assert (data["standby"], data["working"], data["degraded"]) == (True, True, [])


def test_a_gateway_with_a_part_of_the_virtual_addresses_is_degraded(site: Site, gateway: GatewayHost) -> None:
    directory = gateway.spec(spec().replace("      nextHop:", "      virtual: true\n      nextHop:"))
    gateway.apply(directory)
    assert gateway.nvictl("status", directory).stdout.splitlines()[0] == "gateway edge: in sync: as the spec says"
    _without_addresses(site, "wan1")
    gateway.apply(directory)
    done = gateway.nvictl("status", directory, check=False)
    assert done.returncode == 1
    for address in (B, B6):
        assert f"uplink isp-b: {address} is on another gateway, and other virtual addresses are here\n" in done.stdout


def test_a_gateway_on_standby_takes_over_without_another_apply(site: Site, gateway: GatewayHost) -> None:
    """As keepalived does it: by the addresses alone."""
    directory = gateway.spec(spec().replace("      nextHop:", "      virtual: true\n      nextHop:"))
    _without_addresses(site, "wan0", "wan1")
    gateway.apply(directory)
    for host in (site.far, site.server):
        host.serve(443)
    site.gateway.ip(f"addr add {A}/29 dev wan0", f"addr add {A6}/64 dev wan0 nodad")
    site.gateway.ip(f"addr add {B}/29 dev wan1", f"addr add {B6}/64 dev wan1 nodad")
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6
    assert site.server.connect(site.far.address, 443).seen == B
    assert site.far.connect(A, 443).by == "server"
    assert site.leaks() == 0
