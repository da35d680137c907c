"""An apply that would lock out is refused, with the packet that would be lost: of an ssh session, or to an address
that has to be reached.
"""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from nvi_operator.explain.own_route import own_way
from nvi_operator.explain.routing import Router
from nvi_operator.explain.surroundings import machine_of
from nvi_operator.kernel.inspect.other_routes import read_other_routing
from nvi_operator.kernel.inspect.sessions import ssh_sessions
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.load.loader import load_texts
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run
from nvi_operator.topology.resolve import resolve
from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, B, spec

pytestmark = pytest.mark.netns

TAKES = {
    "forward": "forwards: { all: { ports: 1-1023/tcp, to: 192.168.1.80 } }",
    "some clients": "forwards: { all: { ports: 22/tcp, from: 172.16.0.0/12, to: 192.168.1.80 } }",
}


def with_forwards(text: str) -> str:
    head, _, _ = spec().partition("  forwards:")
    return f"{head}  {text}\n"


def test_a_spec_that_takes_the_port_of_an_ssh_session_is_refused(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    site.gateway.serve(22, address=A)
    with site.far.connect(A, 22):
        (session,) = site.gateway.call(ssh_sessions)
        assert (session.local, session.port) == (A, 22)
        for name, text in TAKES.items():
            refused = gateway.nvictl("apply", gateway.spec(with_forwards(text)), check=False)
            assert f"lock-out: {session} would go to 192.168.1.80 by forward all" in refused.stderr, name
            assert not gateway.differences(spec())
        other = "forwards: { all: { ports: [22/udp, 23/tcp], to: 192.168.1.80 } }"
        gateway.nvictl("apply", gateway.spec(with_forwards(other)))
        gateway.nvictl("apply", gateway.spec(with_forwards(TAKES["forward"])), "--force")


SWALLOWED = "    networks: [192.168.1.0/24, 192.0.2.0/24, fd00:1::/64, 2001:db8:f::/48]"
PROTECTED = {
    "192.0.2.80": "what is sent to 192.0.2.80, which `protect` names, would be refused by the FIB rule",
    '"2001:db8:f::80"': "what is sent to 2001:db8:f::80, which `protect` names, would be refused by the FIB rule",
}


def test_a_spec_that_leaves_no_route_to_a_protected_address_is_refused(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    site.far.serve(22)
    asked = (site.far.address, site.far.address6)
    assert all(site.gateway.reaches(address, 22) for address in asked)
    text = ""
    for protected, told in PROTECTED.items():
        text = spec(more=f"  protect: {protected}\n")
        text = text.replace("    networks: [192.168.1.0/24, fd00:1::/64]", SWALLOWED)
        assert f"warning: lock-out: {told}" in gateway.nvictl("plan", gateway.spec(text)).stderr
        refused = gateway.nvictl("apply", gateway.spec(text), check=False)
        assert f"lock-out: {told}" in refused.stderr
        assert not gateway.differences(spec())
    gateway.nvictl("apply", gateway.spec(text), "--force")
    assert not any(site.gateway.reaches(address, 22) for address in asked)
    gateway.nvictl("apply", gateway.spec(text + "# what is lost already is no reason\n"))


def test_a_spec_whose_guard_would_drop_what_a_protected_host_sends_is_refused(
    site: Site, gateway: GatewayHost
) -> None:
    """A bastion behind an uplink, at an address that the spec takes for one inside."""
    site.gateway.ip("route add 192.0.2.0/24 via 203.0.113.1")
    swallowed = spec().replace("    networks: [192.168.1.0/24, fd00:1::/64]", SWALLOWED)
    gateway.apply(spec())
    site.gateway.serve(22, address=A)
    site.far.serve(22)
    with site.far.connect(A, 22, source=site.far.address):
        (session,) = site.gateway.call(ssh_sessions)
        refused = gateway.nvictl("apply", gateway.spec(swallowed), check=False)
        assert f"lock-out: {session} would be dropped at spoofed_source as spoofed" in refused.stderr
    protected = swallowed + "  protect: 192.0.2.80\n"
    refused = gateway.nvictl("apply", gateway.spec(protected), check=False)
    answer = "which `protect` names, would get no answer: that would be dropped at spoofed_source as spoofed"
    assert f"lock-out: what is sent to 192.0.2.80, {answer}" in refused.stderr
    assert site.gateway.reaches("192.0.2.80", 22)
    gateway.nvictl("apply", gateway.spec(protected), "--force")
    assert not site.gateway.reaches("192.0.2.80", 22)


def test_another_way_to_a_protected_address_is_no_loss(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    other = "  protect: 192.0.2.80\n  routes: [{ name: far, to: 192.0.2.0/24, via: isp-b }]\n"
    gateway.nvictl("apply", gateway.spec(spec(more=other)))
    site.far.serve(22)
    assert site.gateway.connect(site.far.address, 22).seen == B


ASKED = (
    "192.0.2.80",
    "9.9.9.9",
    "203.0.113.1",
    "198.51.100.1",
    "192.168.1.80",
    "192.168.9.9",
    "10.9.0.1",
    "172.31.1.1",
)
ASKED6 = ("2001:db8:f::80", "2001:db8:a::1", "fd00:1::80", "2600::1")


def test_the_way_of_own_packets_is_what_the_kernel_says(site: Site, gateway: GatewayHost) -> None:
    site.gateway.ip(
        "route add unreachable 10.9.0.0/16",
        "route add 10.9.0.0/24 via 198.51.100.1",
        "route add 172.31.0.0/16 via 203.0.113.1 table 99",
        "rule add pref 900 to 172.31.1.0/24 lookup 99",
        "rule add pref 901 fwmark 7 to 9.9.9.9 unreachable",
        "rule add pref 902 from 192.0.2.1 to 9.9.9.9 unreachable",
        "rule add pref 903 ipproto udp dport 53 to 9.9.9.9 unreachable",
    )
    routes = "  routes: [{ name: dns, to: [9.9.9.9, '2600::/12'], via: isp-b }]\n"
    gateway.apply(spec(more=routes))
    loaded = load_texts({"a.yaml": spec(more=routes).encode()})

    def ways() -> dict[str, str | None]:
        with Kernel(loaded.spec.numbers, observes=True) as kernel:
            owned = dry_run(kernel, Compiler(loaded.name, loaded.spec)).before
            asked = [ip_address(text) for text in (*ASKED, *ASKED6)]
            facts = kernel.facts()
            rules, routes = read_other_routing(asked, facts.links, loaded.spec.numbers.protocol)
        topology = resolve(loaded.name, loaded.spec, facts)
        router = Router(machine_of(topology, owned, facts, routes=routes, rules=rules))
        return {str(address): own_way(router, address, 443).dev for address in asked}

    for address, way in site.gateway.call(ways).items():
        family = "-6" if ":" in address else "-4"
        got = site.gateway.run(
            "ip", family, "-j", "route", "get", address, "ipproto", "tcp", "dport", "443", check=False
        )
        assert way == (json.loads(got.stdout)[0]["dev"] if got.returncode == 0 else None), address
