"""What a host has, as rtnetlink lists it: `ip` lists the same."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from pyroute2 import IPRoute

from nvi_operator.kernel.inspect.main_routes import DefaultRoute, read_main
from nvi_operator.kernel.netlink.interfaces import list_addresses, list_links
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kernel.netns import entered
from tests.lab import Host, Lab
from tests.lab.net import until

pytestmark = pytest.mark.netns


@pytest.fixture
def box(lab: Lab) -> Host:
    host = lab.host("box")
    lab.link(host, "wan0", lab.host("isp"), "gwa")
    host.ip("addr add 203.0.113.2/24 dev wan0", "addr add 2001:db8:a::2/64 dev wan0 nodad")
    return host


def test_a_listing_of_links_that_was_interrupted_is_made_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a gateway with very many links would take one for missing whenever another is deleted."""
    host = lab.host("many")
    host.ip(*(f"link add b{number} type bridge" for number in range(150)))
    dumps: list[bool] = []  # was it whole?
    dump = Rtnetlink._dump

    def counted(rtnetlink: Rtnetlink, *args: Any) -> Any:
        found, whole = dump(rtnetlink, *args)
        dumps.append(whole)
        return found, whole

    def listed_again() -> bool:
        dumps.clear()
        list_links(rtnetlink)
        return len(dumps) > 1

    def go_on() -> None:
        with entered(host.netns), IPRoute() as other:
            while not enough.is_set():
                other.link("add", ifname="flap", kind="bridge")
                other.link("del", ifname="flap")

    monkeypatch.setattr(Rtnetlink, "_dump", counted)
    enough = Event()
    with entered(host.netns), Rtnetlink() as rtnetlink, ThreadPoolExecutor(1) as pool:
        changing = pool.submit(go_on)
        try:
            until(listed_again, "a listing to be interrupted")
        finally:
            enough.set()
        changing.result()


def test_links_and_addresses_are_listed_as_ip_lists_them(lab: Lab) -> None:
    host = lab.host("box")
    host.ip(
        "link add br0 type bridge",
        "link add left0 mtu 1400 group 7 type veth peer name right0",
        "link set right0 mtu 1000",  # too little for IPv6
        "link set left0 alias uplink_of_a",
        "link property add dev left0 altname enp9s9",
        "link set left0 master br0",
        "link set left0 up",
        "addr add 192.0.2.1 peer 192.0.2.9/32 dev left0",
        "addr add 192.0.2.17/28 dev left0",
        "addr add 192.0.2.18/28 dev left0",
        "addr add 198.51.100.1/24 dev left0 scope link",
        "addr add 2001:db8::1/64 dev left0 nodad",
        "addr add 2001:db8::2/64 dev left0 nodad preferred_lft 0",
    )
    with entered(host.netns), Rtnetlink() as rtnetlink:
        links, addresses = list_links(rtnetlink), list_addresses(rtnetlink)
    told = json.loads(host.run("ip", "-j", "-d", "addr").stdout)
    names = {each["ifindex"]: each["ifname"] for each in told}
    assert [
        (link.index, link.ifname, link.mtu, link.alias, link.altnames, link.kind, names.get(link.master or 0))
        for link in links
    ] == [
        (
            each["ifindex"],
            each["ifname"],
            each["mtu"],
            each.get("ifalias", ""),
            tuple(each.get("altnames", ())),
            each.get("linkinfo", {}).get("info_kind", ""),
            each.get("master"),
        )
        for each in told
    ]
    assert [(link.up, link.carrier, link.mac) for link in links] == [
        ("UP" in each["flags"], "LOWER_UP" in each["flags"], None if each["ifname"] == "lo" else each["address"])
        for each in told
    ]
    assert {link.ifname: link.group for link in links}["left0"] == 7
    assert {link.ifname: link.mtu6 for link in links if link.ifname != "lo"} == {
        "br0": 1400,
        "left0": 1400,
        "right0": None,
    }
    assert {link.ifname: link.accept_ra for link in links if link.ifname != "lo"} == {
        "br0": 1,
        "left0": 1,
        "right0": None,
    }
    listed = {(names[each.index], str(each.interface)): each for each in addresses}
    assert listed.keys() == {
        (each["ifname"], f"{info['local']}/{info['prefixlen']}") for each in told for info in each["addr_info"]
    }
    assert {address for (_, address), each in listed.items() if each.fading} == {"2001:db8::2/64"}
    assert all(each.usable for each in addresses)
    assert listed["left0", "192.0.2.1/32"].usable, "the host's own, and not its peer's"
    assert not listed["left0", "198.51.100.1/24"].universal


def test_default_routers_are_found_among_many_routes(box: Host) -> None:
    many = "".join(f"route add 10.{n >> 8}.{n & 255}.0/24 dev wan0\n" for n in range(3000))
    box.run("ip", "-batch", "-", text=many)
    box.ip(
        "route add default via 203.0.113.1 metric 20",
        "route add default via 203.0.113.9 metric 10",
        "route add ::/0 via 2001:db8:a::1",
        "route add default via 203.0.113.7 table 5",
        "route add default metric 30 nexthop via 203.0.113.5 dev wan0 nexthop via 203.0.113.6 dev wan0",
        "route add ::/0 metric 30 nexthop via 2001:db8:a::5 dev wan0 nexthop via 2001:db8:a::6 dev wan0",
    )
    with entered(box.netns), Rtnetlink() as rtnetlink:
        found = read_main(rtnetlink).defaults
    index = int(json.loads(box.run("ip", "-j", "link", "show", "wan0").stdout)[0]["ifindex"])
    assert list(found) == [
        DefaultRoute(4, 10, 0, index, "203.0.113.9"),
        DefaultRoute(4, 20, 0, index, "203.0.113.1"),
        DefaultRoute(4, 30, 0, index, "203.0.113.5"),
        DefaultRoute(4, 30, 0, index, "203.0.113.6"),
        DefaultRoute(6, 30, 0, index, "2001:db8:a::5"),
        DefaultRoute(6, 30, 0, index, "2001:db8:a::6"),
        DefaultRoute(6, 1024, 0, index, "2001:db8:a::1"),
    ]


def test_what_main_knows_by_way_of_an_interface_is_found(box: Host) -> None:
    box.ip(
        "route add 10.1.0.0/16 via 203.0.113.5",
        "route add 10.2.0.0/16 nexthop via 203.0.113.5 dev wan0 nexthop dev lo",
        "route add 10.3.0.0/16 via inet6 fe80::5 dev wan0",
        "route add 10.4.0.0/16 dev lo",
        "route add 10.5.0.0/16 via 203.0.113.6 metric 20",
        "route add 10.5.0.0/16 via 203.0.113.7 metric 10",
        "route add 10.6.0.0/16 dev wan0 table 5",
        "route add 224.0.0.0/4 dev wan0",
        "route add 0.0.0.0/1 dev wan0",
        "route add unreachable 10.7.0.0/16",
        "nexthop add id 9 via 203.0.113.5 dev wan0",
        "route add 10.8.0.0/16 nhid 9",
        "route add fd00:7::/48 via fe80::5 dev wan0",
    )
    index = int(json.loads(box.run("ip", "-j", "link", "show", "wan0").stdout)[0]["ifindex"])
    with entered(box.netns), Rtnetlink() as rtnetlink:
        found = read_main(rtnetlink, [index]).wires[index]
    assert [(str(route.network), route.via) for route in found if route.network.version == 4] == [
        ("10.1.0.0/16", "203.0.113.5"),
        ("10.2.0.0/16", "203.0.113.5"),
        ("10.3.0.0/16", "fe80::5"),
        ("10.5.0.0/16", "203.0.113.7"),
        ("10.8.0.0/16", "203.0.113.5"),
        ("203.0.113.0/24", None),
    ]
    assert {(str(route.network), route.via) for route in found} >= {("fe80::/64", None), ("fd00:7::/48", "fe80::5")}


def test_routes_that_name_only_a_next_hop_object_lead_where_it_does(box: Host) -> None:
    """net.ipv4.nexthop_compat_mode 0: the kernel lists neither interface nor gateway of such a route."""
    box.write("net/ipv4/nexthop_compat_mode", "0")
    box.ip(
        "nexthop add id 4 via 203.0.113.5 dev wan0",
        "nexthop add id 5 via 203.0.113.6 dev wan0",
        "nexthop add id 6 via 2001:db8:a::5 dev wan0",
        "nexthop add id 45 group 4/5",
        "route add default nhid 4",
        "route add ::/0 nhid 6",
        "route add 10.1.0.0/16 nhid 5",
        "route add 10.2.0.0/16 nhid 45",
    )
    index = int(json.loads(box.run("ip", "-j", "link", "show", "wan0").stdout)[0]["ifindex"])
    with entered(box.netns), Rtnetlink() as rtnetlink:
        found = read_main(rtnetlink, [index])
    assert [(route.family, route.oif, route.gateway) for route in found.defaults] == [
        (4, index, "203.0.113.5"),
        (6, index, "2001:db8:a::5"),
    ]
    ways = {(str(route.network), route.via) for route in found.wires[index]}
    assert ways >= {("10.1.0.0/16", "203.0.113.6"), ("10.2.0.0/16", "203.0.113.5")}
