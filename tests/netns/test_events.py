"""What the kernel reports, in a namespace of its own: what wakes the daemon, what does not, and whom it names."""

from __future__ import annotations

import os
import selectors
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nvi_operator.daemon.loop import Loop
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.kernel.netlink import events
from nvi_operator.kernel.netlink.events import Event, KernelEvents
from nvi_operator.kernel.netns import entered
from nvi_operator.reconcile.outcome import Outcome, Reason
from nvi_operator.sources.directory import SpecDirectory
from tests.lab.net import until

pytestmark = pytest.mark.netns

TABLE = "table inet nvi { map forwards { type inet_service : verdict; }; chain pre { accept; }; }"
PROTOCOL = 78


class Place:
    """A namespace, and a listening socket in it."""

    def __init__(self, name: str, **options: int) -> None:
        self.name = name
        with entered(name):
            self.events = KernelEvents(["nvi"], **options)
        self.events.follow(frozenset(), PROTOCOL)  # no interface is an uplink's: of `main` only default routes matter

    def ip(self, line: str) -> None:
        subprocess.run(["ip", "-n", self.name, *line.split()], check=True, capture_output=True)

    def nft(self, text: str) -> None:
        command = ["ip", "netns", "exec", self.name, "nft", "-f", "-"]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)

    def after(self, *actions: Callable[[], None]) -> list[Event]:
        """What is reported of them; nothing else was pending before."""
        self.events.drain()
        for action in actions:
            action()
        return self.events.drain()

    def families(self, *lines: str) -> set[str]:
        return {event.kind for event in self.after(*(lambda line=line: self.ip(line) for line in lines))}


@pytest.fixture
def place(name: str) -> Iterator[Place]:
    made = Place(name)
    made.ip("link add d0 type veth peer name p0")
    for ifname in ("p0", "d0"):
        made.ip(f"link set {ifname} addrgenmode none")  # otherwise the kernel goes on by itself for a while
        made.ip(f"link set {ifname} up")
    made.ip("addr add 192.0.2.1/24 dev d0")
    until(lambda: links(name).count(" state UP ") == 2, "both ends to be up: the kernel reports that by and by")
    yield made
    made.events.close()


def links(name: str) -> str:
    return subprocess.run(["ip", "-n", name, "link"], check=True, capture_output=True, text=True).stdout


# --------------------------------------------------------------------------- what wakes


@pytest.mark.parametrize(
    ("line", "family"),
    [
        ("link add d1 type veth peer name p1", "link"),
        ("link set d0 mtu 1400", "link"),
        ("link set d0 group 7", "link"),
        ("link del d0", "link"),
        ("addr add 192.0.2.9/32 dev d0", "address"),
        ("addr del 192.0.2.1/24 dev d0", "address"),
        ("addr add 2001:db8::1/64 dev d0 nodad", "address"),
        ("route add 198.51.100.0/24 via 192.0.2.2 table 1234", "route"),
        ("route add default via 192.0.2.2", "route"),
        ("-6 route add default dev d0", "route"),
        ("-6 route add 2001:db8:9::/48 dev d0 table 1234", "route"),
        ("rule add pref 77 fwmark 0x1 lookup 1234", "rule"),
        ("-6 rule add pref 77 fwmark 0x1 lookup 1234", "rule"),
    ],
)
def test_changes_of_links_addresses_routes_and_rules_wake(place: Place, line: str, family: str) -> None:
    """Some are reported a little later: IPv6 addresses are made by a worker of the kernel."""
    seen = place.families(line)
    until(lambda: family in seen or seen.update(e.kind for e in place.events.drain()), f"a report of {family}")


def test_a_change_of_a_qdisc_or_a_filter_wakes(place: Place) -> None:
    def tc(line: str) -> None:
        subprocess.run(["tc", "-n", place.name, *line.split()], check=True, capture_output=True)

    assert {e.kind for e in place.after(lambda: tc("qdisc add dev d0 clsact"))} == {"tc"}
    add = "filter add dev d0 egress protocol ip u32 match u32 0 0"
    assert {e.kind for e in place.after(lambda: tc(add))} == {"tc"}


@pytest.mark.parametrize("path", ["ipv4/conf/d0/rp_filter", "ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"])
def test_settings_that_the_kernel_reports_wake(place: Place, path: str) -> None:
    def write() -> None:
        with entered(place.name):
            file = Path("/proc/sys/net") / path
            file.write_text("0" if file.read_text().strip() == "1" else "1")  # only a change is reported

    assert "setting" in {event.kind for event in place.after(write)}


@pytest.mark.parametrize(
    "text",
    ["flush table inet nvi", "delete table inet nvi", "flush ruleset", "add element inet nvi forwards { 80 : drop }"],
)
def test_changes_of_our_table_wake_and_name_the_process(place: Place, text: str) -> None:
    place.nft(TABLE)
    (event,) = place.after(lambda: place.nft(text))
    assert (event.kind, event.process, event.own) == ("nft", "nft", False)
    assert event.pid > 0
    assert event.who == f"nft (pid {event.pid})"


def test_the_pid_is_that_of_the_process(place: Place) -> None:
    place.nft(TABLE)
    place.events.drain()
    command = ["ip", "netns", "exec", place.name, "nft", "flush", "table", "inet", "nvi"]  # exec: it becomes nft
    with subprocess.Popen(command) as process:
        assert process.wait(10) == 0
    assert [event.pid for event in place.events.drain()] == [process.pid]


def test_our_own_change_is_known_as_such(place: Place) -> None:
    import nftables

    def change() -> None:
        with entered(place.name):
            assert nftables.Nftables().cmd(TABLE)[0] == 0

    (event,) = place.after(change)
    assert event.own
    assert event.pid == os.getpid()


def test_a_rule_names_who_made_it_if_its_port_tells(place: Place) -> None:
    """ip(8) lives too briefly to have a name still, but its pid is its port; pyroute2's ports tell nothing."""
    from pyroute2 import IPRoute

    (foreign,) = place.after(lambda: place.ip("rule add pref 78 lookup 1234"))
    assert not foreign.own
    assert foreign.pid > 0
    with entered(place.name), IPRoute() as ipr:
        (event,) = place.after(lambda: ipr.rule("del", priority=78))
    assert event.who == ""


def test_an_owned_rule_is_recognised_by_its_port(place: Place) -> None:
    rule = struct.pack("=8BI", socket.AF_INET, 0, 0, 0, 254, 0, 0, 1, 0) + struct.pack("=HHI", 8, 6, 79)
    message = struct.pack("=IHHII", 16 + len(rule), 32, 0x601, 1, 0) + rule

    def add() -> None:
        with entered(place.name), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
            sock.bind((os.getpid() + (1 << 22), 0))  # as libnl numbers a second socket
            sock.send(message)

    (event,) = place.after(add)
    assert (event.kind, event.own, event.pid) == ("rule", True, os.getpid())
    assert event.process


# --------------------------------------------------------------------------- what does not


def test_neighbours_do_not_wake(place: Place) -> None:
    assert not place.families(
        "neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev d0 nud reachable",
        "neigh change 192.0.2.7 lladdr 02:00:00:00:00:08 dev d0 nud stale",
        "neigh del 192.0.2.7 dev d0",
        "-6 neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev d0",
    )


def test_a_routing_daemons_routes_do_not_wake(place: Place) -> None:
    assert not place.families(
        "route add 198.51.100.0/24 via 192.0.2.2",
        "route del 198.51.100.0/24 via 192.0.2.2",
        "-6 route add 2001:db8:9::/48 dev d0",
    )


def test_a_route_that_names_only_a_next_hop_object_may_be_by_an_uplink(place: Place) -> None:
    """net.ipv4.nexthop_compat_mode 0: such a report names no interface."""
    with entered(place.name):
        Path("/proc/sys/net/ipv4/nexthop_compat_mode").write_text("0", encoding="ascii")
        place.events.follow(frozenset({socket.if_nametoindex("d0")}), PROTOCOL)
    place.ip("nexthop add id 4 via 192.0.2.2 dev d0")
    assert place.families("route add 198.51.100.0/24 nhid 4") == {"route"}


def test_other_tables_of_nftables_do_not_wake(place: Place) -> None:
    place.nft(TABLE)
    assert not place.after(
        lambda: place.nft("table ip nvi { chain c { counter; }; }"),
        lambda: place.nft("table inet nvi-other { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; }"),
        lambda: place.nft("delete table inet nvi-other"),
    )


def test_the_reports_of_a_large_nftables_change_can_be_muted(place: Place) -> None:
    def muted() -> None:
        with place.events.without_nft():
            place.nft(TABLE)
            place.ip("link set d0 mtu 1400")

    assert {event.kind for event in place.after(muted)} == {"link"}
    assert {event.kind for event in place.after(lambda: place.nft("flush table inet nvi"))} == {"nft"}


def test_a_transaction_on_several_tables_wakes_once(place: Place) -> None:
    text = f"table ip before {{ }}\n{TABLE}\ntable ip zafter {{ }}"
    assert [event.kind for event in place.after(lambda: place.nft(text))] == ["nft"]


def test_a_quiet_kernel_says_nothing(place: Place) -> None:
    place.events.drain()
    with selectors.DefaultSelector() as selector:
        for fileno in place.events.filenos():
            selector.register(fileno, selectors.EVENT_READ)
        assert selector.select(0.3) == []


# --------------------------------------------------------------------------- whether anything changed


def test_the_generation_stays_while_nothing_is_reported_but_nftables(place: Place) -> None:
    place.nft(TABLE)
    place.events.drain()
    before = place.events.generation()
    place.nft("flush table inet nvi")
    place.ip("route add 198.51.100.0/24 via 192.0.2.2")
    assert place.events.generation() == before
    assert [event.kind for event in place.events.drain()] == ["nft"]


def test_the_generation_goes_up_before_a_report_is_drained_and_not_again(place: Place) -> None:
    place.events.drain()
    before = place.events.generation()
    place.ip("rule add pref 77 lookup 1234")
    after = place.events.generation()
    assert after.other > before.other
    assert [event.kind for event in place.events.drain()] == ["rule"], "it is not lost for the loop"
    assert place.events.generation() == after


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (f"rule add pref 77 lookup 1234 protocol {PROTOCOL}", "rule"),
        (f"route add 198.51.100.0/24 via 192.0.2.2 table 1234 proto {PROTOCOL}", "route"),
        (f"-6 route add unreachable 2001:db8:9::/48 table 1234 proto {PROTOCOL}", "route"),
        ("route add 198.51.100.0/24 via 192.0.2.2 table 1234", "other"),
        (f"route add default via 192.0.2.2 proto {PROTOCOL}", "other"),
    ],
)
def test_owned_rules_and_routes_are_counted_apart(place: Place, change: str, counts: str) -> None:
    """Those of `main` are facts, whoever made them."""
    before = place.events.generation()
    place.ip(change)
    after = place.events.generation()
    assert {name for name in before._fields if getattr(after, name) > getattr(before, name)} == {counts}


# --------------------------------------------------------------------------- too much


def test_lost_reports_are_reported(name: str) -> None:
    place = Place(name, receive_buffer=1)
    before = place.events.generation()
    for number in range(100, 140):
        place.ip(f"rule add pref {number} lookup 1234")
    assert place.events.generation().other > before.other
    assert Event("overflow") in place.events.drain()
    (event,) = place.after(lambda: place.ip("rule del pref 100"))
    assert event.kind == "rule"
    place.events.close()


def test_what_is_lost_before_all_was_read_is_reported_as_well(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says once that it drops reports, and goes on to drop them until the queue is empty."""
    place = Place(name, receive_buffer=1)
    place.ip("link set lo up")
    place.events.drain()
    for number in range(1, 41):
        place.ip(f"route add 10.9.{number}.0/24 dev lo")  # which wakes no listener
    with monkeypatch.context() as patch:
        patch.setattr(events, "_MOST_READS", 2)
        first = place.events.generation()
    place.ip("rule add pref 200 lookup 1234")  # no listener hears of it
    second = place.events.generation()
    assert second.other > first.other
    assert place.events.generation() == second
    place.events.close()


def test_many_changes_are_one_event(place: Place) -> None:
    place.nft(TABLE)
    elements = ", ".join(f"{port} : drop" for port in range(1, 20001))
    assert len(place.after(lambda: place.nft(f"add element inet nvi forwards {{ {elements} }}"))) == 1


# --------------------------------------------------------------------------- with the loop


def test_a_foreign_change_wakes_the_loop_at_once(place: Place, tmp_path: Path) -> None:
    place.nft(TABLE)
    began: list[float] = []
    triggers: list[Trigger] = []

    def reconcile(trigger: Trigger) -> Outcome:
        triggers.append(trigger)
        if Reason.KERNEL in trigger.reasons:
            loop.stop()
        else:
            began.append(time.monotonic())
            place.nft("flush table inet nvi")
        return Outcome()

    place.events.drain()
    loop = Loop(reconcile, directory=SpecDirectory(tmp_path), events=place.events, emit=lambda event: None)
    loop.run()
    assert [event.process for event in triggers[-1].events] == ["nft"]
    assert time.monotonic() - began[0] < 1.0
