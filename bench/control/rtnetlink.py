"""FIB rules and routes: by pyroute2 as it is, and by the operator's reconciler."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute

from bench.control.inputs import LAN, NEXT_HOP, TABLE, destinations, rule_priorities
from bench.control.trial import Given, Meter, timed
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kinds.route import Route
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.diff import plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.model import Topology

_PROTOCOL = Numbers().protocol


class _Meant(Compiler):
    """A gateway that is nothing but these objects."""

    def __init__(self, state: HostState) -> None:
        super().__init__("bench", None)
        self._state = state

    def meaning(self, facts: Facts) -> tuple[Topology | None, HostState]:
        return None, self._state


def _rules(count: int) -> HostState:
    pairs = zip(rule_priorities(count), destinations(count), strict=True)
    return HostState.of(("fib-rule", FibRule(4, at, "lookup", table=TABLE, source=net)) for at, net in pairs)


def _routes(count: int) -> HostState:
    return HostState.of(("route", Route(4, TABLE, net, dev=LAN, via=NEXT_HOP)) for net in destinations(count))


@contextmanager
def _reconciled(state: HostState) -> Iterator[Meter]:
    """A whole reconcile: observe, plan, apply, verify."""

    def work() -> None:
        with Kernel(Numbers()) as kernel:
            reconcile(kernel, _Meant(state))

    yield Meter(timed(work))


@contextmanager
def our_rules(given: Given) -> Iterator[Meter]:
    with _reconciled(_rules(given.size)) as meter:
        yield meter


@contextmanager
def our_routes(given: Given) -> Iterator[Meter]:
    with _reconciled(_routes(given.size)) as meter:
        yield meter


@contextmanager
def observe(given: Given) -> Iterator[Meter]:
    """All owned objects, and the plan that would delete them: one step each."""

    def work() -> None:
        with Kernel(Numbers()) as kernel:
            found = plan(kernel.observe(HostState()), HostState()).steps
        assert len(found) == given.size, f"{len(found)} objects of {given.size} were seen"

    yield Meter(timed(work))


@contextmanager
def add_rules(given: Given) -> Iterator[Meter]:
    rules = list(zip(rule_priorities(given.size), destinations(given.size), strict=True))

    def work() -> None:
        for priority, net in rules:
            source = net.partition("/")[0]
            ipr.rule("add", priority=priority, table=TABLE, src=source, src_len=32, protocol=_PROTOCOL)

    with IPRoute() as ipr:
        yield Meter(timed(work))


@contextmanager
def add_routes(given: Given) -> Iterator[Meter]:
    networks, index = list(destinations(given.size)), socket.if_nametoindex(LAN)

    def work() -> None:
        for net in networks:
            ipr.route("add", dst=net, table=TABLE, gateway=NEXT_HOP, oif=index, proto=_PROTOCOL, priority=1024)

    with IPRoute() as ipr:
        yield Meter(timed(work))


@contextmanager
def read_rules(given: Given) -> Iterator[Meter]:
    with IPRoute() as ipr:
        yield Meter(timed(lambda: list(ipr.get_rules(family=socket.AF_INET))))


@contextmanager
def read_routes(given: Given) -> Iterator[Meter]:
    with IPRoute() as ipr:
        yield Meter(timed(lambda: list(ipr.get_routes(family=socket.AF_INET))))
