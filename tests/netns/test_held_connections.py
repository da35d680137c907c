"""Established connections outlive what others take away: until it is healed the gateway is closed, and silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from nvi_operator.plan.change import Change
from nvi_operator.testing import Killed
from tests.lab import GatewayHost, Site
from tests.lab.net import until
from tests.lab.traffic import Flow
from tests.netns.losses import LOSSES, no_rules, nothing_of_the_table
from tests.netns.operator import Operator, Step
from tests.netns.scenarios import A6, A, spec

pytestmark = pytest.mark.netns

TEN = 10
PATIENCE = 6  # timeouts of a flow


@contextmanager
def connections(site: Site) -> Iterator[list[Flow]]:
    """Ten of each: from outside to a published server, and from inside to a far one and to the published one; half of
    them are IPv6.
    """
    site.server.serve(443)
    site.far.serve(443)
    with ExitStack() as stack:
        yield [
            stack.enter_context(host.connect(address, 443))
            for host, addresses in (
                (site.far, (A, A6)),
                (site.client, (site.far.address, site.far.address6)),
                (site.client, (A, A6)),
            )
            for number in range(TEN)
            for address in addresses[number % 2 : number % 2 + 1]
        ]


@contextmanager
def all_go_on(site: Site, flows: list[Flow]) -> Iterator[None]:
    """Each says something while the block begins, and has its answer some time after the block has ended."""
    dead: list[str] = []

    def talk(flow: Flow) -> None:
        for _ in range(PATIENCE):
            try:
                flow.again()
            except TimeoutError:
                continue  # of a busy machine; the kernel goes on to retransmit
            except (OSError, AssertionError) as error:
                dead.append(f"{flow.seen}: {error!r}")
            return
        dead.append(f"{flow.seen}: no answer")

    before = site.used()["isp-a"][1]
    talks = [threading.Thread(target=talk, args=(flow,)) for flow in flows]
    for each in talks:
        each.start()
    until(lambda: site.used()["isp-a"][1] >= before + TEN, "what comes from outside has met the gateway")
    yield
    for each in talks:
        each.join()
    assert dead == []


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "inside-renamed"])
def test_ten_of_ten_connections_outlive_a_loss(site: Site, loss: str, dataplane: str) -> None:
    operator = Operator(site)
    operator.apply(spec(dataplane))
    with connections(site) as flows:
        LOSSES[loss](site.gateway)
        with all_go_on(site, flows):
            operator.apply(spec(dataplane))
    assert site.leaks() == 0


def test_they_outlive_an_operator_that_is_killed_at_any_step_of_its_heal(site: Site) -> None:
    operator = Operator(site)
    operator.apply(spec())
    with connections(site) as flows:
        for number in range(1, 40, 6):
            nothing_of_the_table(site.gateway)
            no_rules(site.gateway)
            site.gateway.ip("link del nvi0")
            with all_go_on(site, flows):
                with pytest.raises(Killed):
                    operator.apply(spec(), _killer(number))
                operator.apply(spec())
    assert site.leaks() == 0


def _killer(number: int) -> Step:
    left = [number]

    def step(change: Change) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return step


def test_a_gateway_with_its_table_answers_as_any_host(site: Site, gateway: GatewayHost) -> None:
    """A closed port of its own is refused, and at once."""
    gateway.apply(spec())
    for host in (site.far, site.client):
        for address in (A, A6):
            with pytest.raises(AssertionError, match="refused"):
                host.connect(address, 81)
            with pytest.raises(AssertionError, match="refused"):
                host.connect(address, 81, protocol="udp")
    assert gateway.counters()["egress_reset"] == 0
    nothing_of_the_table(site.gateway)
    for host in (site.far, site.client):
        before = gateway.counters()["egress_reset"]
        assert not host.reaches(A, 81)
        assert not host.reaches(A6, 81, protocol="udp")
        assert gateway.counters()["egress_reset"] >= before + 2
    with pytest.raises(AssertionError, match="refused"):
        site.client.connect("192.168.1.1", 81)
