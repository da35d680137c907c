"""Several signs mark owned objects. Other programs can change each of them, and none decides alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns


def link(gateway: GatewayHost, ifname: str) -> dict[str, Any]:
    (found,) = json.loads(gateway.host.run("ip", "-j", "-d", "link", "show", ifname).stdout)
    return {key: found.get(key) for key in ("ifindex", "group", "mtu", "ifalias", "linkinfo", "flags")}


@pytest.mark.parametrize(
    "commands",
    [
        ["group 0"],
        ["alias theirs"],
        ["group 0", "alias theirs"],
        ["group 0", "mtu 1500"],
        ["group 0", "alias theirs", "down"],
    ],
    ids=", ".join,
)
def test_a_device_that_lost_signs_is_named_as_drift_repaired_and_removed(
    site: Site, gateway: GatewayHost, commands: list[str]
) -> None:
    directory = gateway.spec(spec())
    gateway.nvictl("apply", directory)
    before = link(gateway, "nvi0")
    for command in commands:
        site.gateway.ip(f"link set nvi0 {command}")
    shown = gateway.nvictl("drift", directory, check=False)
    assert "the gateway itself: device nvi0 changed" in shown.stdout
    assert "owned-modified link" in gateway.nvictl("drift", directory, "--kernel", check=False).stdout
    gateway.nvictl("apply", directory)
    assert link(gateway, "nvi0") == before, "it is the same device, as it was"
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        assert flow.seen == A
    for command in commands:
        site.gateway.ip(f"link set nvi0 {command}")
    gateway.down()
    assert gateway.owned() == []
    assert site.gateway.run("ip", "link", "show", "nvi0", check=False).returncode != 0


@pytest.mark.parametrize(
    "made",
    [
        "link add nvi0 type ifb",
        "link add nvi0 group 79 type ifb",
        "link add nvi0 mtu 65535 type ifb",
        "link add nvi0 type bridge",
        "link add nvi0 type veth peer name nvi9",
    ],
)
def test_a_foreign_device_under_our_name_is_refused_by_its_signs_and_not_touched(
    site: Site, gateway: GatewayHost, made: str
) -> None:
    site.gateway.ip(made)
    before = link(gateway, "nvi0")
    directory = gateway.spec(spec())
    for command in ("plan", "apply", "status"):
        done = gateway.nvictl(command, directory, check=False)
        assert done.returncode == (2 if command == "status" else 1)
        assert "link nvi0: create the NAT virtual interface: a foreign link of kind" in done.stderr
        assert f"MTU {before['mtu']}" in done.stderr
    gateway.down()
    assert link(gateway, "nvi0") == before


def test_a_foreign_device_with_one_sign_of_an_owned_one_is_left_alone(site: Site, gateway: GatewayHost) -> None:
    alias = "nvi-operator: numbers: {linkGroup: 78, protocol: 78}"
    for number, sign in enumerate(("group 79", "mtu 65535", "up")):
        site.gateway.ip(f"link add shaper{number} type ifb", f"link set shaper{number} {sign}")
    site.gateway.run("ip", "link", "set", "shaper2", "alias", alias)
    directory = gateway.spec(spec())
    gateway.nvictl("apply", directory)
    assert gateway.differences(directory) == []
    gateway.down()
    for number in range(3):
        assert link(gateway, f"shaper{number}")["linkinfo"]["info_kind"] == "ifb"


def test_a_foreign_route_in_a_table_without_owned_ones_is_refused(site: Site, gateway: GatewayHost) -> None:
    site.gateway.ip("route add default dev lan0 table 7800 metric 1024")
    before = gateway.foreign()
    done = gateway.nvictl("apply", gateway.spec(spec()), check=False)
    assert done.returncode == 1
    assert "0.0.0.0/0 table 7800 metric 1024: create: a route of protocol 3 is there already" in done.stderr
    assert "numbers: {table: N}" in done.stderr
    assert gateway.foreign() == before
    assert gateway.owned() == []
