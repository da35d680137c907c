"""Properties and attributes of a device of kind nvi, and what it refuses."""

from __future__ import annotations

import errno
import json
import re
import socket
import struct
from collections.abc import Iterator
from functools import partial
from itertools import product

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from nvi_operator.kernel.kmod.device import as_request, attributes_of
from nvi_operator.kernel.netlink.interfaces import ListedLink, list_links
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from tests.dataplane.bench import DEVICE, GROUP, Bench, bench

pytestmark = pytest.mark.netns

DEFAULTS = {"in_interface": 0, "stage_mask": 1 << 31, "ttl_compensation": 0, "require_stage": 1, "flow_cache": 0}


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Bench]:
    with bench("kmod") as made:
        yield made


@pytest.fixture
def kmod(namespaces: Bench) -> Iterator[Bench]:
    """A new device in namespaces that these tests share: they send no packets, and new namespaces are slow."""
    yield namespaces
    made = json.loads(namespaces.gateway.run("ip -j link show type nvi"))
    namespaces.gateway.ip(
        *(f"link del {link['ifname']}" for link in made),
        f"link add {DEVICE} mtu {namespaces.device.mtu} group {GROUP} type nvi",
        f"link set {DEVICE} up",
    )


def attributes(lab: Bench, ifname: str = DEVICE) -> dict[str, int]:
    def listed() -> list[ListedLink]:
        with Rtnetlink() as rtnetlink:
            return list_links(rtnetlink)

    (link,) = (each for each in lab.gateway.call(listed) if each.ifname == ifname)
    return dict(attributes_of(link.data))


def add(lab: Bench, ifname: str, **attributes: int) -> None:
    request = as_request(tuple(attributes.items()))
    lab.gateway.call(lambda: lab.ipr.link("add", ifname=ifname, kind="nvi", **request))


def test_it_has_no_link_layer(kmod: Bench) -> None:
    kmod.gateway.run("ip link add plain type nvi")
    kmod.gateway.run("ip link set plain up")
    (link,) = json.loads(kmod.gateway.run("ip -d -j link show plain"))
    assert link["link_type"] == "none"
    assert "NOARP" in link["flags"]
    assert link["qdisc"] == "noqueue"
    assert (link["mtu"], link["min_mtu"], link["max_mtu"]) == (65536, 1280, 65536)
    assert link["inet6_addr_gen_mode"] == "none"
    assert json.loads(kmod.gateway.run("ip -6 -j addr show dev plain")) in ([], [{}])


def test_bigger_gso_packets_can_be_allowed(kmod: Bench) -> None:
    kmod.gateway.run(f"ip link set {DEVICE} gso_max_size 180000")
    (link,) = json.loads(kmod.gateway.run(f"ip -d -j link show {DEVICE}"))
    assert link["gso_max_size"] == 180000


def test_it_does_not_segment_gso_packets(kmod: Bench) -> None:
    features = kmod.gateway.run(f"ethtool -k {DEVICE}")
    for feature in ("scatter-gather", "tcp-segmentation-offload", "tx-checksumming", "generic-segmentation-offload"):
        assert f"{feature}: on" in features


def test_defaults_are_reported(kmod: Bench) -> None:
    kmod.gateway.run("ip link add plain type nvi")
    assert attributes(kmod, "plain") == DEFAULTS


def test_attributes_set_at_creation_are_reported(kmod: Bench) -> None:
    expected = {"in_interface": 1, "stage_mask": 1 << 7, "ttl_compensation": 1, "require_stage": 0, "flow_cache": 1}
    add(kmod, "odd", **expected)
    assert attributes(kmod, "odd") == expected


def test_each_attribute_can_be_changed_while_up_and_leaves_the_others(kmod: Bench) -> None:
    expected = dict(DEFAULTS)
    for name, value in (
        ("in_interface", 1),
        ("stage_mask", 1),
        ("ttl_compensation", 1),
        ("require_stage", 0),
        ("flow_cache", 1),
    ):
        kmod.set_attributes(**{name: value})
        expected[name] = value
        assert attributes(kmod) == expected


REFUSED: tuple[tuple[dict[str, int], str], ...] = (
    ({"in_interface": 2}, "integer out of range"),
    ({"stage_mask": 0}, "Stage mask must be one bit"),
    ({"stage_mask": 3}, "Stage mask must be one bit"),
    ({"ttl_compensation": 2}, "integer out of range"),
    ({"require_stage": 2}, "integer out of range"),
    ({"flow_cache": 2}, "integer out of range"),
    ({"require_stage": 0}, "in-interface must be 1 (skb_iif)"),
)


def test_a_refusal_gives_the_reason_and_changes_nothing(kmod: Bench) -> None:
    for wrong, sentence in REFUSED:
        for refused in (partial(add, kmod, "odd", **wrong), partial(kmod.set_attributes, **wrong)):
            with pytest.raises(NetlinkError, match=re.escape(sentence)):
                refused()
        assert "odd" not in kmod.gateway.run("ip link")
        assert attributes(kmod) == DEFAULTS


def test_the_mark_form_cannot_be_chosen_while_the_stage_bit_is_not_required(kmod: Bench) -> None:
    kmod.set_attributes(in_interface=1, require_stage=0)
    with pytest.raises(NetlinkError):
        kmod.set_attributes(in_interface=0)
    kmod.set_attributes(in_interface=0, require_stage=1)
    assert attributes(kmod) == DEFAULTS


def test_an_attribute_of_another_width_is_refused(kmod: Bench) -> None:
    """As of a client for version 0.1.0, whose attributes were u8 for the most part."""
    for (number, name), width in product(enumerate(DEFAULTS, 1), (0, 1, 2, 8)):
        assert refusal(kmod, number, (b"\1" + bytes(7))[:width]) in (errno.EINVAL, errno.ERANGE), f"{name} {width}"
        assert attributes(kmod) == DEFAULTS


def refusal(lab: Bench, number: int, payload: bytes) -> int:
    """The errno with which RTM_NEWLINK refuses this attribute for the device; 0 if it does not."""

    def attribute(kind: int, content: bytes) -> bytes:
        return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)

    info = attribute(1, b"nvi\0") + attribute(2, attribute(number, payload))  # IFLA_INFO_KIND, IFLA_INFO_DATA
    body = struct.pack("=BxHiII", 0, 0, lab.port(DEVICE).ifindex, 0, 0) + attribute(18, info)  # IFLA_LINKINFO
    with lab.gateway.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), 16, 5, 1, 0) + body)  # RTM_NEWLINK, REQUEST | ACK
        (code,) = struct.unpack_from("=i", sock.recv(4096), 16)
    return -int(code)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ip link add odd address 02:00:00:00:00:01 type nvi", "has no hardware address"),
        (f"ip link set {DEVICE} mtu 1279", "mtu less than device minimum"),
        (f"ip link set {DEVICE} mtu 65537", "mtu greater than device maximum"),
        (f"ip link add v link {DEVICE} type vlan id 5", "VLANs not supported on device"),
    ],
)
def test_ip_link_requests_that_are_refused(kmod: Bench, command: str, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        kmod.gateway.run(command)


def test_counters_have_names_and_start_at_zero(kmod: Bench) -> None:
    counters = kmod.counters()
    assert not any(counters.values())
    assert [name for name in counters if not name.startswith("flow_")] == [
        "reinjected", "loop", "no_stage_bit", "no_device", "device_down", "backlog", "other",
    ]  # fmt: skip


def test_modprobe_finds_it_by_link_kind(kmod: Bench) -> None:
    modules = kmod.gateway.run("modinfo -F alias nvi") + kmod.gateway.run("modinfo -F license nvi")
    assert set(modules.split()) == {"rtnl-link-nvi", "net-pf-16-proto-16-family-nvi", "GPL"}
