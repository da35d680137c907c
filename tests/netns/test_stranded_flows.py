"""Flows whose translation leads nowhere any more end where a new one would work; no other flow is touched."""

from __future__ import annotations

import json
import socket
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from bench.stranded import entries, fill
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.model.settings import Numbers
from nvi_operator.topology.flows import FlowQuestion
from tests.lab import GatewayHost, Lab, Site
from tests.lab.daemon import Daemon
from tests.lab.net import Host, until
from tests.lab.traffic import Flow
from tests.netns.scenarios import A, B, spec

pytestmark = pytest.mark.netns

PHONE = 5060


@pytest.fixture
def ordered(dataplane: str) -> str:
    preferred = "- name: everyone\n      as: { first: [isp-a, isp-b] }"
    return spec(dataplane).replace("- name: everyone\n      as: isp-a", preferred)


def unplug(site: Site, name: str, *, again: bool = False) -> None:
    ifname = {"isp-a": "wan0", "isp-b": "wan1"}[name]
    site.isps[name].host.ip(f"link set dev gwa {'up' if again else 'down'}")
    until(
        lambda: ("NO-CARRIER" in site.gateway.run("ip", "link", "show", ifname).stdout) != again, f"carrier: {again}"
    )


def phone(site: Site, source: str = "") -> Flow:
    """It keeps itself alive over one UDP socket, and never asks from another port."""
    return site.client.connect(site.far.address, PHONE, protocol="udp", source=source or None)


@pytest.fixture(autouse=True)
def far(site: Site) -> None:
    site.far.serve(PHONE, protocol="udp")
    site.far.serve(443)
    site.server.serve(443)


def test_a_telephone_works_again_with_its_next_packet(site: Site, gateway: GatewayHost, ordered: str) -> None:
    pool = "- {name: pool, ports: 5061/udp, as: {pool: {203.0.113.18: 1000, 198.51.100.18: 1}}}\n    "
    ordered = ordered.replace("- name: server\n", f"{pool}- name: server\n", 1)
    gateway.apply(ordered)
    call = phone(site)
    assert call.seen == A
    site.far.serve(5061, protocol="udp")
    pooled = site.client.connect(site.far.address, 5061, protocol="udp")
    assert pooled.seen == "203.0.113.18"
    with site.server.connect(site.far.address, 443) as other:
        assert other.seen == B, "always by isp-b"
        unplug(site, "isp-a")
        assert (
            "1 flow stranded: uplink isp-a: wan0 is without carrier"
            in gateway.nvictl("plan", gateway.spec(ordered), check=False).stdout
        )
        assert "1 flow stranded: uplink isp-a: wan0 is without carrier: 1 ended" in gateway.apply(ordered).stdout
        assert call.again().seen == B
        assert pooled.again().seen == "198.51.100.18", "an address of the pool whose uplink works"
        assert other.again().seen == B
    assert site.leaks() == 0


def test_it_stays_where_the_spec_keeps_stranded_flows(site: Site, gateway: GatewayHost, ordered: str) -> None:
    text = ordered + "  strandedFlows: keep\n"
    gateway.apply(text)
    call = phone(site)
    unplug(site, "isp-a")
    assert "1 flow stranded: uplink isp-a: wan0 is without carrier: kept" in gateway.apply(text).stdout
    with pytest.raises((OSError, AssertionError)):
        call.again()


def test_no_flow_ends_when_nothing_better_is_there(site: Site, gateway: GatewayHost, ordered: str) -> None:
    gateway.apply(ordered)
    call = phone(site)
    unplug(site, "isp-b")
    gateway.apply(ordered)
    unplug(site, "isp-a")
    assert "stranded" not in gateway.apply(ordered).stdout
    unplug(site, "isp-a", again=True)
    gateway.apply(ordered)
    assert call.again().seen == A, "the same flow: its line came back"


@pytest.mark.parametrize(("failback", "seen"), [("keep", B), ("move", A)])
def test_the_way_back_has_its_own_policy(
    site: Site, gateway: GatewayHost, ordered: str, failback: str, seen: str
) -> None:
    text = f"{ordered}  failback: {failback}\n"
    gateway.apply(text)
    unplug(site, "isp-a")
    gateway.apply(text)
    call = phone(site)
    assert call.seen == B
    unplug(site, "isp-a", again=True)
    gateway.apply(text)
    assert phone(site).seen == A, "new flows go back"
    assert call.again().seen == seen


def test_a_new_lease_ends_the_flows_of_the_old_one(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    text = spec(dataplane).replace("addresses: [203.0.113.2, 2001:db8:a::2]", "addresses: auto")
    gateway.apply(text)
    call = phone(site)
    site.gateway.ip("addr add 203.0.113.3/29 dev wan0", "addr del 203.0.113.2/29 dev wan0")
    site.gateway.ip("addr replace 203.0.113.3/29 dev wan0", "route replace default via 203.0.113.1")
    assert "1 flow stranded: 203.0.113.2 is no longer an uplink's: 1 ended" in gateway.apply(text).stdout
    assert call.again().seen == "203.0.113.3"


def test_a_lease_may_be_gone_for_a_while_before_the_next_one(
    site: Site, gateway: GatewayHost, dataplane: str, tmp_path: Path
) -> None:
    text = spec(dataplane).replace("addresses: [203.0.113.2, 2001:db8:a::2]", "addresses: auto")
    daemon = Daemon(site.gateway, gateway.spec(text), tmp_path / "log")
    try:
        daemon.until("in sync", seconds=60)
        call = phone(site)
        site.gateway.ip("addr del 203.0.113.2/29 dev wan0")
        assert "stranded" not in daemon.until("no longer", "in sync", seconds=60)
        site.gateway.ip("addr add 203.0.113.3/29 dev wan0", "route replace default via 203.0.113.1")
        daemon.until("203.0.113.2 is no longer an uplink's: 1 flow stranded: 1 ended", seconds=60)
        assert call.again().seen == "203.0.113.3"
    finally:
        daemon.stop()


def test_flows_of_a_forward_that_is_removed_or_moved_end_and_no_others(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    text = spec(dataplane)
    text = text.replace("  forwards:\n", "  forwards:\n    sip: { at: isp-a, ports: 5060/udp, to: 192.168.1.80 }\n")
    gateway.apply(text)
    site.server.serve(PHONE, protocol="udp")
    site.client.serve(PHONE, protocol="udp")
    call = site.far.connect(A, PHONE, protocol="udp")
    with site.far.connect(A, 443) as other:
        assert (call.by, other.by) == ("server", "server")
        moved = text.replace("ports: 5060/udp, to: 192.168.1.80", "ports: 5060/udp, to: 192.168.1.10")
        assert "1 flow stranded: forwards of 203.0.113.2 are removed or moved: 1 ended" in gateway.apply(moved).stdout
        assert call.again().by == "client"
        assert other.again().by == "server"
        removed = "".join(line for line in text.splitlines(keepends=True) if "sip:" not in line)
        assert "1 ended" in gateway.apply(removed).stdout
        with pytest.raises((OSError, AssertionError)):
            call.again()
        assert other.again().by == "server"


def keeps_sending(host: Host, address: str) -> tuple[socket.socket, Callable[[], str]]:
    """A socket that never asks from another port, and who answers it; "" while no one does."""
    sender = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.settimeout(0.3)
    sender.connect((address, PHONE))

    def by() -> str:
        for _ in range(2):  # an ICMP error about the last one may be what comes first
            with suppress(OSError):
                sender.send(b"hello\n")
                return str(json.loads(sender.recv(500))["by"])
        return ""

    return sender, by


@pytest.mark.parametrize("place", ["in a map", "for some clients", "of a range"])
def test_a_peer_that_sent_before_its_forward_was_there_reaches_the_server(
    site: Site, gateway: GatewayHost, dataplane: str, place: str
) -> None:
    more = {"in a map": "5060/udp", "for some clients": "5060/udp, from: 0.0.0.0/0", "of a range": "5000-5099/udp"}[
        place
    ]
    forward = f"    sip: {{ at: isp-a, ports: {more}, to: 192.168.1.80 }}\n"
    gateway.apply(spec(dataplane))
    site.server.serve(PHONE, protocol="udp")
    sender, by = keeps_sending(site.far, A)
    with sender:
        assert by() == ""
        done = gateway.apply(spec(dataplane).replace("  forwards:\n", f"  forwards:\n{forward}"))
        assert "1 flow stranded: unanswered, and a forward or a rule takes them now: 1 ended" in done.stdout
        assert by() == "server"


def test_who_was_answered_by_the_gateway_stays_with_it(site: Site, gateway: GatewayHost, dataplane: str) -> None:
    gateway.apply(spec(dataplane))
    site.gateway.serve(PHONE, protocol="udp", address=A)
    sender, by = keeps_sending(site.far, A)
    with sender:
        assert by() == "gw"
        forward = "    sip: { at: isp-a, ports: 5060/udp, to: 192.168.1.80 }\n"
        assert (
            "stranded"
            not in gateway.apply(spec(dataplane).replace("  forwards:\n", f"  forwards:\n{forward}")).stdout
        )
        assert by() == "gw"


def test_a_client_that_no_rule_covered_leaves_by_the_one_that_is_added(
    site: Site, gateway: GatewayHost, dataplane: str
) -> None:
    """What goes to a neighbour, or to a group, is no business of a rule."""
    text = spec(dataplane)
    gateway.apply(text.replace("    - name: everyone\n      as: isp-a\n", ""))
    (sender, by), (quiet, heard) = (
        keeps_sending(site.client, address) for address in (site.far.address, "192.168.1.1")
    )
    with sender, quiet:
        assert (by(), heard()) == ("", "")
        assert ": 1 ended" in gateway.apply(text).stdout
        assert by() == "far"
    assert site.leaks() == 0


def test_a_preview_counts_the_flows_that_a_change_would_strand(
    site: Site, gateway: GatewayHost, ordered: str, tmp_path: Path
) -> None:
    """On the gateway itself, between two directories; nothing is changed."""
    gateway.apply(ordered)
    call = phone(site)
    after = ordered.replace(f"{A}", A.removesuffix("2") + "9")
    sides = [tmp_path / name for name in ("old", "new")]
    for side, text in zip(sides, (ordered, after), strict=True):
        side.mkdir()
        (side / "gateway.yaml").write_text(text)
    told = gateway.nvictl("preview", *sides, "--live").stdout
    assert f"! 1 flow stranded: {A} is no longer an uplink's" in told.replace("!   ", "! ")
    assert "stranded" not in gateway.nvictl("preview", *sides).stdout
    assert call.again().seen == A


def test_any_number_of_flows_ends_while_they_are_listed_and_takes_no_memory(lab: Lab) -> None:
    host = lab.host("router")
    host.nft("table ip nat { chain o { type nat hook postrouting priority 100; }; }")
    fill(host, "203.0.113.16", 0, 5_000)
    fill(host, "203.0.113.17", 5_000, 250)

    def end() -> tuple[int, int]:
        tracemalloc.start()
        with Kernel(Numbers()) as kernel:
            question = FlowQuestion(4, "", translated=ip_network("203.0.113.16"))
            ended = kernel.end_flows(kernel.tracked_flows(question))
        return ended, tracemalloc.get_traced_memory()[1]

    try:
        ended, peak = host.call(end)
    finally:
        tracemalloc.stop()
    assert (ended, entries(host)) == (5_000, 250)
    assert peak < 1 << 20, "as many at once take 3 MiB"
