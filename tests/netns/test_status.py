"""`nvictl status` tells by its words and its exit code whether a gateway works, and what of it does not."""

from __future__ import annotations

import json

import pytest

from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.netns.scenarios import spec

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
