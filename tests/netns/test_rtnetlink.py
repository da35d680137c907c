"""FIB rules and routes as the operator writes them: `ip` makes and lists the same."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.kernel.drivers.fib_rule import FibRuleDriver, _parse
from nvi_operator.kernel.drivers.route import RouteDriver
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink, number
from nvi_operator.kernel.netns import entered
from nvi_operator.kinds.route import Route
from nvi_operator.nft.wire.attributes import attribute
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState, Object, Ref
from tests.lab import Host, Lab

pytestmark = pytest.mark.netns

PROTOCOL = 78
STAGE = 1 << 31
RULES = (
    FibRule(4, 1000, "lookup", 7800, iif="lo", mark=1 << 30, mask=1 << 30),
    FibRule(4, 1010, "lookup", 7800, iif="lan0", mark=0, mask=STAGE),
    FibRule(4, 1010, "lookup", 100, source="192.168.1.0/24", mark=0, mask=STAGE),
    FibRule(4, 1030, "lookup", 7801, source="10.1.0.7/32", destination="10.2.0.0/15", mark=STAGE, mask=STAGE),
    FibRule(4, 1500, "lookup", 254, suppress_prefix_length=0, suppress_group=78),
    FibRule(4, 1800, "goto", goto=1999, iif="lo"),
    FibRule(4, 1900, "unreachable", destination="192.168.1.0/24"),
    FibRule(4, 1705, "lookup", 7801, iif="lo", oif="wan0"),
    FibRule(4, 1710, "lookup", 7801, iif="lo", protocol="tcp", destination_ports=(25, 25)),
    FibRule(4, 1710, "lookup", 7801, iif="lo", protocol="udp", source_ports=(500, 501), destination_ports=(1, 65534)),
    FibRule(4, 1711, "lookup", 7801, iif="lo", protocol="112"),
    FibRule(4, 1999, "nop"),
    FibRule(6, 1010, "lookup", 7800, iif="eth0.100", mark=0, mask=STAGE),
    FibRule(6, 1600, "lookup", 7801, source="2001:db8:a::2/128"),
    FibRule(6, 1500, "lookup", 254, suppress_prefix_length=0, suppress_group=78),
    FibRule(6, 1900, "unreachable", source="fd00:1::/64"),
    FibRule(6, 1999, "nop"),
)
ROUTES = (
    Route(4, 7800, "0.0.0.0/0", dev="wan0", via="198.18.0.1", onlink=True),
    Route(4, 7801, "0.0.0.0/0", "unreachable", metric=4294967295),
    Route(4, 8301, "0.0.0.0/0", dev="wan0", via="203.0.113.1", onlink=True, source="203.0.113.2"),
    Route(6, 8301, "::/0", dev="wan0", via="2001:db8:a::1", onlink=True, source="2001:db8:a::2"),
    Route(4, 100, "10.1.0.0/16", dev="wan0", via="203.0.113.1", metric=5),
    Route(4, 7801, "10.2.0.7/32", dev="wan0", metric=7),
    Route(6, 7800, "::/0", dev="wan0", via="fe80::1", onlink=True),
    Route(6, 7801, "::/0", "unreachable", metric=4294967295),
    Route(6, 100, "2001:db8:1::/64", dev="wan0", via="2001:db8:a::1", metric=5),
    Route(6, 7801, "2001:db8:2::7/128", dev="wan0", metric=7),
)


class Machine:
    """A host with an interface, and the operator's drivers in it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.host = lab.host(name)
        lab.link(self.host, "wan0", lab.host(f"{name}-isp"), "gwa")
        self.host.ip("addr add 203.0.113.2/24 dev wan0", "addr add 2001:db8:a::2/64 dev wan0 nodad")
        with entered(self.host.netns):
            self.rtnetlink = Rtnetlink()
        self.rules = FibRuleDriver(self.rtnetlink, PROTOCOL)
        self.routes = RouteDriver(self.rtnetlink, PROTOCOL)

    def apply(self, action: Action, *objects: Object, before: Object | None = None) -> None:
        for obj in objects:
            driver: Any = self.rules if isinstance(obj, FibRule) else self.routes
            after = None if action is Action.DELETE else obj
            gone = obj if action is Action.DELETE else before
            with entered(self.host.netns):
                driver.apply(Change(Ref(driver.kind, obj.key), action, gone, after))

    def seen(self) -> set[Object]:
        with entered(self.host.netns):
            return {*self.rules.observe(HostState()), *self.routes.observe(HostState())}

    def listed(self) -> list[Any]:
        """The owned objects as `ip` lists them."""
        found = []
        for family in ("-4", "-6"):
            for what in ("rule list", "route show table all"):
                output = self.host.run("ip", "-j", "-d", "-N", family, *what.split()).stdout
                found += [each for each in json.loads(output) if each.get("protocol") == str(PROTOCOL)]
        return found


def by_ip(host: Host, *objects: FibRule | Route) -> None:
    for obj in objects:
        if isinstance(obj, FibRule):
            words = f"-{obj.family} rule add {obj} protocol {PROTOCOL}"
        else:
            kind = "" if obj.type == "unicast" else obj.type
            way = "".join(
                f" {word} {value}"
                for word, value in (("via", obj.via), ("dev", obj.dev), ("src", obj.source))
                if value
            )
            onlink = " onlink" if obj.onlink else ""
            words = f"-{obj.family} route add {kind} {obj.key}{way}{onlink} proto {PROTOCOL}"
        host.run("ip", *words.split())


@pytest.fixture
def ours(lab: Lab) -> Iterator[Machine]:
    machine = Machine(lab, "ours")
    yield machine
    machine.rtnetlink.close()


@pytest.fixture
def theirs(lab: Lab) -> Iterator[Machine]:
    machine = Machine(lab, "theirs")
    yield machine
    machine.rtnetlink.close()


def test_the_operator_writes_what_ip_makes_of_the_same_words(ours: Machine, theirs: Machine) -> None:
    ours.apply(Action.CREATE, *RULES, *ROUTES)
    by_ip(theirs.host, *RULES, *ROUTES)
    assert len(ours.listed()) == len(RULES) + len(ROUTES)
    assert ours.listed() == theirs.listed()


@pytest.mark.parametrize(
    "more",
    [
        *("ipproto tcp", "sport 7", "dport 80-90", "oif wan0", "uidrange 7-9", "tun_id 5", "tos 0x10"),
        "suppress_ifgroup 5",
        "from 192.168.1.0/24",
    ],
)
def test_the_right_one_of_two_rules_is_deleted(theirs: Machine, more: str) -> None:
    """The kernel takes the first that has what it is told. What makes the other one narrower is seen, and told."""
    words = f"pref 1900 to 10.0.0.0/8 lookup 7801 protocol {PROTOCOL}"
    theirs.host.ip(f"rule add {more} {words}")
    wide = FibRule(4, 1900, "lookup", 7801, destination="10.0.0.0/8")
    (narrow,) = theirs.seen()
    theirs.apply(Action.CREATE, wide)  # of some the kernel says that it exists
    assert theirs.seen() == {narrow, wide}
    theirs.apply(Action.DELETE, wide)
    assert theirs.seen() == {narrow}
    theirs.apply(Action.CREATE, wide)
    assert theirs.seen() == {narrow, wide}
    theirs.apply(Action.DELETE, narrow)
    assert theirs.seen() == {wide}


def test_a_rule_with_a_word_more_than_an_owned_one_is_foreign(theirs: Machine) -> None:
    """`not` turns a rule into another."""
    theirs.host.ip(f"rule add not from 10.0.0.0/8 pref 1900 lookup 7801 protocol {PROTOCOL}")
    (seen,) = theirs.seen()
    assert str(seen) == "pref 1900 not from 10.0.0.0/8 lookup 7801"
    theirs.apply(Action.DELETE, seen)
    assert theirs.seen() == set()


def test_an_attribute_of_a_newer_kernel_is_shown_by_its_number() -> None:
    body = bytes([socket.AF_INET, *bytes(6), 1, *bytes(4)])  # struct fib_rule_hdr, FR_ACT_TO_TBL
    attributes = number(6, 1900), number(15, 7801), attribute(99, b"\x08")  # FRA_PRIORITY, FRA_TABLE
    assert str(_parse(4, b"".join((body, *attributes))).rule) == "pref 1900 attribute 99 0x08 lookup 7801"


def test_rules_that_another_process_made_narrower_are_drift(theirs: Machine) -> None:
    steer = FibRule(4, 1010, "lookup", 7800, iif="lan0", mark=0, mask=STAGE)
    theirs.host.ip(f"rule add pref 1010 iif lan0 fwmark 0/{STAGE:#x} ipproto tcp lookup 7800 protocol {PROTOCOL}")
    assert steer not in theirs.seen()


def test_what_ip_writes_is_read_as_it_was_meant(theirs: Machine) -> None:
    by_ip(theirs.host, *RULES, *ROUTES)
    theirs.host.run("ip", "rule", "add", "pref", "7", "lookup", "7")
    theirs.host.run("ip", "route", "add", "10.9.0.0/16", "dev", "wan0")
    assert theirs.seen() == {*RULES, *ROUTES}, "and nothing of others"


def test_of_what_ip_wrote_owned_objects_are_deleted_alone(theirs: Machine) -> None:
    by_ip(theirs.host, *RULES, *ROUTES)
    theirs.host.run("ip", "route", "add", "10.1.0.0/16", "dev", "wan0", "table", "100", "metric", "6")
    before = len(theirs.host.run("ip", "rule").stdout.splitlines())
    theirs.apply(Action.DELETE, *RULES, *ROUTES)
    assert theirs.seen() == set()
    assert before - len(theirs.host.run("ip", "rule").stdout.splitlines()) == sum(rule.family == 4 for rule in RULES)
    assert "10.1.0.0/16" in theirs.host.run("ip", "route", "show", "table", "100").stdout


def test_a_route_of_an_unknown_type_is_deleted_all_the_same(theirs: Machine) -> None:
    theirs.host.run("ip", *f"route add blackhole 10.3.0.0/16 table 7801 metric 9 proto {PROTOCOL}".split())
    theirs.host.run("ip", *f"rule add pref 1234 prohibit protocol {PROTOCOL}".split())
    for obj in theirs.seen():
        theirs.apply(Action.DELETE, obj)
    assert theirs.listed() == []


def test_an_interface_may_go_while_its_routes_are_read(ours: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.apply(Action.CREATE, ROUTES[0])

    def gone(ifindex: int) -> str:
        raise OSError(errno.ENXIO, "No such device or address")

    monkeypatch.setattr(socket, "if_indextoname", gone)
    (route,) = ours.seen()
    assert isinstance(route, Route)
    assert str(route.dev).startswith("#"), "a name that no interface has, so that the route differs"


def test_an_update_replaces_a_route_in_its_place(ours: Machine) -> None:
    old, new = (Route(4, 7801, "0.0.0.0/0", dev="wan0", via=f"203.0.113.{n}", onlink=True) for n in (1, 9))
    ours.apply(Action.CREATE, old)
    ours.apply(Action.UPDATE, new, before=old)
    assert ours.seen() == {new}


def test_a_second_rule_or_route_of_equal_content_is_as_good(ours: Machine) -> None:
    ours.apply(Action.CREATE, RULES[0], RULES[0], ROUTES[0], ROUTES[0])
    assert ours.seen() == {RULES[0], ROUTES[0]}


def test_a_refusal_is_in_the_kernels_own_words(ours: Machine) -> None:
    with pytest.raises(KernelError, match=r"route .* create: Nexthop has invalid gateway"):
        ours.apply(Action.CREATE, Route(4, 7801, "10.0.0.0/8", dev="wan0", via="192.0.2.99"))
    with pytest.raises(KernelError, match=r"fib-rule pref 5 .*"):
        ours.apply(Action.DELETE, FibRule(4, 5, "nop"))
    assert ours.seen() == set()


def test_a_next_hop_may_be_of_the_other_family(ours: Machine) -> None:
    route = Route(4, 7801, "10.3.0.0/16", dev="wan0", via="fe80::5", onlink=True)
    ours.apply(Action.CREATE, route)
    assert ours.seen() == {route}
    assert "via inet6 fe80::5" in ours.host.run("ip", "route", "show", "table", "7801").stdout
    ours.apply(Action.DELETE, route)
    assert ours.seen() == set()
