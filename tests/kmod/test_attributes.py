"""What a device of kind nvi is, what it can be told, and what it refuses with a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from nvi_operator.kernel.kmod.device import attributes_of
from tests.dataplane.bench import DEVICE, GROUP, Bench, bench

pytestmark = pytest.mark.netns

DEFAULTS = {"source": 0, "stage_mask": 1 << 31, "ttl_compensation": 0, "require_stage": 1}


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Bench]:
    with bench("kmod") as made:
        yield made


@pytest.fixture
def kmod(namespaces: Bench) -> Iterator[Bench]:
    """A fresh device in the namespaces of all these tests, which send no packets: new ones take ten times as long."""
    yield namespaces
    made = json.loads(namespaces.gateway.run("ip -j link show type nvi"))
    namespaces.gateway.ip(
        *(f"link del {link['ifname']}" for link in made),
        f"link add {DEVICE} mtu {namespaces.device.mtu} group {GROUP} type nvi",
        f"link set {DEVICE} up",
    )


def attributes(lab: Bench, ifname: str = DEVICE) -> dict[str, int]:
    (link,) = lab.gateway.call(lambda: tuple(lab.ipr.link("get", ifname=ifname)))
    return dict(attributes_of(link))


def add(lab: Bench, ifname: str, **options: Any) -> None:
    lab.gateway.call(lambda: lab.ipr.link("add", ifname=ifname, kind="nvi", **options))


def change(lab: Bench, **options: Any) -> None:
    lab.gateway.call(lambda: lab.ipr.link("set", ifname=DEVICE, kind="nvi", **options))


def test_it_is_a_device_without_link_layer(kmod: Bench) -> None:
    kmod.gateway.run("ip link add plain type nvi")
    kmod.gateway.run("ip link set plain up")
    (link,) = json.loads(kmod.gateway.run("ip -d -j link show plain"))
    assert link["link_type"] == "none"
    assert "NOARP" in link["flags"]
    assert link["qdisc"] == "noqueue"
    assert (link["mtu"], link["min_mtu"], link["max_mtu"]) == (65536, 1280, 65536)
    assert link["inet6_addr_gen_mode"] == "none"
    assert json.loads(kmod.gateway.run("ip -6 -j addr show dev plain")) in ([], [{}])


def test_it_may_be_told_to_keep_even_bigger_packets_whole(kmod: Bench) -> None:
    kmod.gateway.run(f"ip link set {DEVICE} gso_max_size 180000")
    (link,) = json.loads(kmod.gateway.run(f"ip -d -j link show {DEVICE}"))
    assert link["gso_max_size"] == 180000


def test_it_keeps_big_packets_whole(kmod: Bench) -> None:
    features = kmod.gateway.run(f"ethtool -k {DEVICE}")
    for feature in ("scatter-gather", "tcp-segmentation-offload", "tx-checksumming", "generic-segmentation-offload"):
        assert f"{feature}: on" in features


def test_defaults_are_reported(kmod: Bench) -> None:
    kmod.gateway.run("ip link add plain type nvi")
    assert attributes(kmod, "plain") == DEFAULTS


def test_what_is_told_at_birth_is_reported(kmod: Bench) -> None:
    add(kmod, "odd", nvi_source=1, nvi_stage_mask=1 << 7, nvi_ttl_compensation=1, nvi_require_stage=0)
    assert attributes(kmod, "odd") == {"source": 1, "stage_mask": 128, "ttl_compensation": 1, "require_stage": 0}


def test_each_attribute_can_be_changed_while_up_and_leaves_the_others(kmod: Bench) -> None:
    expected = dict(DEFAULTS)
    for name, value in (("source", 1), ("stage_mask", 1), ("ttl_compensation", 1), ("require_stage", 0)):
        change(kmod, **{f"nvi_{name}": value})
        expected[name] = value
        assert attributes(kmod) == expected


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"nvi_source": 2}, "Source must be 0 (mark) or 1 (skb_iif)"),
        ({"nvi_stage_mask": 0}, "Stage mask must be one bit"),
        ({"nvi_stage_mask": 3}, "Stage mask must be one bit"),
        ({"nvi_ttl_compensation": 2}, "TTL compensation must be 0 or 1"),
        ({"nvi_require_stage": 2}, "Require stage must be 0 or 1"),
        ({"nvi_require_stage": 0}, "source must be 1 (skb_iif)"),
    ],
    ids=str,
)
def test_a_refusal_says_why_and_changes_nothing(kmod: Bench, wrong: dict[str, int], sentence: str) -> None:
    for refused in (lambda: add(kmod, "odd", **wrong), lambda: change(kmod, **wrong)):
        with pytest.raises(NetlinkError) as told:
            refused()
        assert sentence in str(told.value)
    assert "odd" not in kmod.gateway.run("ip link")
    assert attributes(kmod) == DEFAULTS


def test_the_mark_form_cannot_be_chosen_while_the_stage_bit_is_not_required(kmod: Bench) -> None:
    change(kmod, nvi_source=1, nvi_require_stage=0)
    with pytest.raises(NetlinkError):
        change(kmod, nvi_source=0)
    change(kmod, nvi_source=0, nvi_require_stage=1)
    assert attributes(kmod) == DEFAULTS


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ip link add odd address 02:00:00:00:00:01 type nvi", "has no hardware address"),
        (f"ip link set {DEVICE} mtu 1279", "mtu less than device minimum"),
        (f"ip link set {DEVICE} mtu 65537", "mtu greater than device maximum"),
        (f"ip link add v link {DEVICE} type vlan id 5", "VLANs not supported on device"),
    ],
)
def test_what_ip_asks_for_in_vain(kmod: Bench, command: str, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        kmod.gateway.run(command)


def test_counters_have_names_and_start_at_zero(kmod: Bench) -> None:
    assert kmod.counters() == dict.fromkeys(
        ("reinjected", "loop", "no_stage_bit", "no_device", "device_down", "backlog", "other"), 0
    )


def test_modprobe_finds_it_by_the_kind_of_link(kmod: Bench) -> None:
    modules = kmod.gateway.run("modinfo -F alias nvi") + kmod.gateway.run("modinfo -F license nvi")
    assert modules.split() == ["rtnl-link-nvi", "GPL"]
