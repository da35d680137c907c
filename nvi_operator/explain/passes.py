"""The way of a packet: hook after hook, from where it comes in to where it leaves, through both passes.

docs/architecture.md has the same as a drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial

from nvi_operator.dataclass import replace
from nvi_operator.explain import conntrack
from nvi_operator.explain.chains import Chains, indexes_of, table_of
from nvi_operator.explain.fields import Reader
from nvi_operator.explain.index import Index
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.matching import Matcher
from nvi_operator.explain.passing import Ends, Passing
from nvi_operator.explain.programs import Programs
from nvi_operator.explain.routing import FibLookup, FibResult, Router, reverse_path
from nvi_operator.explain.source import own_ways
from nvi_operator.explain.spans import Spans
from nvi_operator.explain.step import Hook
from nvi_operator.explain.translation import Translator, apply
from nvi_operator.explain.unique import NatRange
from nvi_operator.explain.verdict import Delivered, Dropped, Forwarded, NotModelled, Refused
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import FORWARDING, Sysctl
from nvi_operator.language.model.values import Family
from nvi_operator.nft.ast import Chain
from nvi_operator.topology.numbers import CONNTRACK

_HookStage = Callable[[list[Passing]], list[Passing]]

_NAT = {"prerouting": -100, "output": -100, "input": 100, "postrouting": 100}
# Sources and destinations that are never routed (ip_route_input_slow(), ip6_rcv_core()).
_LOOPBACK_4 = Spans(((127 << 24, (128 << 24) - 1),))
_MARTIAN_SOURCES = {
    4: Spans.of([(0, (1 << 24) - 1), *_LOOPBACK_4, (0xE0000000, 0xEFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF)]),
    6: Spans.of([(0, 1), (0xFF << 120, (1 << 128) - 1), (0xFFFF << 32, (0x10000 << 32) - 1)]),
}
_MARTIAN_DESTINATIONS = {4: Spans.of([(0, (1 << 24) - 1), *_LOOPBACK_4]), 6: Spans.of([(0, 1)])}
_GROUPS = {
    4: Spans.of([(0xE0000000, 0xEFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF)]),
    6: Spans(((0xFF << 120, (1 << 128) - 1),)),
}

_LINK_LOCAL = Spans(((0xFE80 << 112, (0xFEC0 << 112) - 1),))


class Passes:
    """Both passes through one machine. `ends` collects where packets end."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.programs = Programs(machine)
        self.router = Router(machine)
        reader = Reader(machine)
        indexes = indexes_of(table_of(machine))
        matcher = Matcher(reader, indexes, lambda passing: reverse_path(self.router, passing))
        self._chains = Chains(machine, matcher, reader, Translator(machine, reader, indexes))
        self._indexes = indexes
        self._settings = {s.path: s.value for s in machine.state.of_kind("sysctl") if isinstance(s, Sysctl)}

    def index(self, name: str) -> Index:
        """The elements of a named set or map."""
        return self._indexes[name]

    # ------------------------------------------------------------------ in

    def receive(self, passing: Passing, ends: Ends) -> None:
        """Receive the packet from the wire, or from the device that hands it back."""
        interface = self.machine.interfaces.get(passing.in_interface or "")
        if interface is None or not (interface.up and interface.carrier):
            ends.put(passing, NotModelled(Limit.LINK_DOWN, passing.in_interface or ""))
            return
        if interface.master is not None:
            ends.put(passing, NotModelled(Limit.PORT, f"{interface.name} is one of {interface.master}"))
            return
        arrived = self.programs.arrived(passing, ends)
        if arrived is None:
            return
        through = self._hook("prerouting", [arrived], ends)
        for each in through:
            for checked in self._checked(each, ends):
                for part, way in self.router.routed(checked):
                    valid = self._without_own_sources(part, ends) if way.refused is None else part
                    if valid is not None:
                        self._forward(valid, way, ends)

    def _checked(self, passing: Passing, ends: Ends) -> Iterator[Passing]:
        """Without what no host sends, or what is for groups."""
        family = passing.family
        rest: Passing | None = passing
        groups, rest = passing.split(passing.now["destination"], _GROUPS[family])
        if groups is not None:
            ends.put(groups, NotModelled(Limit.MULTICAST))
        for name, spans in (("source", _MARTIAN_SOURCES), ("destination", _MARTIAN_DESTINATIONS)):
            if rest is not None:
                martian, rest = rest.split(rest.now[name], spans[family])
                if martian is not None:
                    ends.put(martian.noted("routing", "dropped", note=f"martian {name}"), Dropped(f"martian {name}"))
        if rest is not None:
            yield rest

    def _without_own_sources(self, passing: Passing, ends: Ends) -> Passing | None:
        """IPv4 asks whose the source is once it has a way for the packet: what has none is refused before
        (ip_route_input_slow()).
        """
        if passing.family == 6 or self._accepts_local(passing):
            return passing
        martian, rest = passing.split(passing.now["source"], self._no_sources)
        if martian is not None:
            ends.put(martian.noted("routing", "dropped", note="martian source"), Dropped("martian source"))
        return rest

    @cached_property
    def _no_sources(self) -> Spans:
        """The gateway's own addresses of IPv4, and those of broadcasts."""
        broadcasts = (span for spans in self.router.broadcasts.values() for span in spans)
        return Spans.of((*self.machine.own_addresses(4), *broadcasts))

    def _accepts_local(self, passing: Passing) -> bool:
        path = f"net/ipv4/conf/{passing.in_interface}/accept_local"
        return passing.in_interface == "lo" or self._settings.get(path) == "1"

    def _forwards(self, passing: Passing) -> bool | None:
        """Does the host forward what comes in there? None: that is not the gateway's to say."""
        whole = self._settings.get(FORWARDING[passing.family])
        if passing.family == 6:
            return None if whole is None else whole == "1"
        of_interface = self._settings.get(f"net/ipv4/conf/{passing.in_interface}/forwarding", whole)
        return None if of_interface is None else of_interface == "1"

    # ------------------------------------------------------------------ through

    def _forward(self, passing: Passing, way: FibResult, ends: Ends) -> None:
        if way.refused is not None:
            ends.put(_routed(passing, way, "refused"), way.refused)
            return
        passing = _routed(passing, way)
        if way.local:
            for each in self._hook("input", [passing], ends):
                ends.put(each, Delivered())
            return
        assert way.dev is not None
        fits = self._fits(passing, way, way.dev, ends)
        if fits is None:
            return
        going = replace(fits, out_interface=way.dev, ttl=fits.ttl - 1)
        for each in self._hook("forward", [going], ends):
            self._send(each, way, ends)

    def _mtu(self, way: FibResult, family: Family) -> int | None:
        """The MTU of the route or the interface, whichever is less; None: not known."""
        interface = self.machine.interfaces[way.dev or ""]
        routes = (each.mtu for each in way.by if isinstance(each, Route))
        mtus = (interface.mtu, interface.mtu6 if family == 6 else None, *routes)
        return min((mtu for mtu in mtus if mtu is not None), default=None)

    def _fits(self, passing: Passing, way: FibResult, dev: str, ends: Ends) -> Passing | None:
        """ip_forward(), ip6_forward(): is it forwarded at all, the TTL, and then the MTU of the way out."""
        if not (forwards := self._forwards(passing)):
            if forwards is None:
                ends.put(passing, NotModelled(Limit.FORWARDING, f"IPv{passing.family}"))
            else:
                ends.put(passing.noted("forward", "dropped", note="forwarding is off"), Dropped("forwarding is off"))
            return None
        beyond = _beyond_the_wire(passing, ends)
        if beyond is None:
            return None
        passing = beyond
        if passing.ttl <= 1:
            step = passing.noted("forward", "refused", note="the TTL ends here")
            ends.put(step, Refused("time-exceeded", f"stage {passing.stage}"))
            return None
        if passing.family == 6 and dev != passing.in_interface:
            neighbours, rest = passing.split(passing.now["source"], _LINK_LOCAL)
            if neighbours is not None:
                step = neighbours.noted("forward", "refused", note="a link-local source is of its wire alone")
                ends.put(step, Refused("unreachable", f"stage {passing.stage}"))
            if rest is None:
                return None
            passing = rest
        length, mtu, like = passing.region.like.length, self._mtu(way, passing.family), passing.region.like
        if length is not None and mtu is not None and length > mtu and (passing.family == 6 or like.dont_fragment):
            step = passing.noted("forward", "refused", note=f"larger than the MTU of {dev}, {mtu}")
            ends.put(step, Refused("too-big", dev, mtu))
            return None
        return passing

    def _send(self, passing: Passing, way: FibResult, ends: Ends) -> None:
        """Send the routed packet to the wire, or into the device."""
        for each in self._hook("postrouting", [passing], ends):
            if each.out_interface == self.machine.device:
                back = self.programs.returned(each, ends)
                if back is not None:
                    self.receive(back, ends)
                continue
            for out in self.programs.leaving(each, ends):
                assert way.dev is not None
                if self.machine.interfaces[way.dev].carrier:
                    ends.put(out, Forwarded(way.dev, way.via, self._mtu(way, passing.family)))
                else:
                    ends.put(out.noted("egress", "dropped", note=f"{way.dev} has no carrier"), Dropped(way.dev))

    # ------------------------------------------------------------------ the gateway itself

    def emit(self, passing: Passing, ends: Ends) -> None:
        """What the gateway itself sends: routed first, and again where NAT or a chain of type route changed it."""
        bound = passing.region.like.bound_interface
        beyond = _beyond_the_wire(passing, ends)
        if beyond is None:
            return
        passing = beyond
        for part, way in own_ways(self.machine, self._own_way, passing, bound):
            if way.refused is not None:
                ends.put(_routed(part, way, "refused"), way.refused)
                continue
            first = replace(_routed(part, way), out_interface="lo" if way.local else way.dev)
            for each in self._hook("output", [first], ends):
                if each.rerouted is None:
                    self._leave(each, way, ends)
                    continue
                for again, other in self._own_way(each, bound, each.rerouted):
                    if other.refused is not None:
                        ends.put(_routed(again, other, "refused"), other.refused)
                        continue
                    out = "lo" if other.local else other.dev
                    self._leave(replace(_routed(again, other), out_interface=out), other, ends)

    def _own_way(
        self, passing: Passing, bound: str | None, mark: int | None = None
    ) -> list[tuple[Passing, FibResult]]:
        """By this mark; None: by the one that it has."""
        ends = passing.now["source"], passing.now["destination"]
        mark = passing.mark if mark is None else mark
        return self.router.routed(passing, FibLookup("lo", *ends, mark, bound, own=True, near=passing.near))

    def _leave(self, passing: Passing, way: FibResult, ends: Ends) -> None:
        if not way.local:
            self._send(passing, way, ends)
            return
        for each in self._hook("postrouting", [passing], ends):
            ends.put(each, Delivered())

    # ------------------------------------------------------------------ hooks

    def _hook(self, hook: Hook, passings: list[Passing], ends: Ends) -> list[Passing]:
        """The chains of a hook, with conntrack and NAT at their places among them."""
        stages: list[tuple[int, int, _HookStage]] = []
        for order, chain in enumerate(self._chains.base(hook)):
            assert chain.hook is not None
            if chain.hook.type != "nat":
                run = self._chain(chain, hook, ends)
                again = hook == "output" and chain.hook.type == "route"
                stages.append((chain.hook.priority, order, _rerouting(run) if again else run))
        if hook in ("prerouting", "output"):
            stages.append((CONNTRACK, -1, lambda found: list(self._tracked(found, hook))))
        if hook in _NAT:
            nat = partial(self._nat, hook=hook, ends=ends)
            stages.append((_NAT[hook], -1, _rerouting(nat) if hook == "output" else nat))
        current = passings
        for _, _, stage in sorted(stages, key=lambda item: item[:2]):
            if not current:
                break
            current = stage(current)
        if hook in ("postrouting", "input"):
            current = [made for each in current for made in self._confirmed(each, hook, ends)]
        return current

    def _chain(self, chain: Chain, hook: Hook, ends: Ends) -> _HookStage:
        return lambda found: self._chains.run(chain, found, hook, ends)

    def _tracked(self, passings: Iterable[Passing], hook: Hook) -> Iterator[Passing]:
        for passing in passings:
            if passing.expected is not None and passing.state is None:
                yield conntrack.answered(passing, hook)
            else:
                yield from conntrack.track(passing, self.machine.entries, hook)

    def _nat(self, passings: list[Passing], hook: Hook, ends: Ends) -> list[Passing]:
        """Chains of NAT see the first packet of a flow only."""
        new = [each for each in passings if each.state == "new" and each.track is not None]
        others = [conntrack.translated(each, hook) for each in passings if each.state != "new" or each.track is None]
        before = {id(each.track) for each in new}
        for chain in self._chains.base(hook):
            if chain.hook is not None and chain.hook.type == "nat" and new:
                new = self._chains.run(chain, new, hook, ends)
        if hook == "postrouting" and self.machine.entries:
            new = [made for each in new for made in self._kept(each, before)]
        return [*new, *others]

    def _kept(self, passing: Passing, before: set[int]) -> Iterator[Passing]:
        """A flow that no rule translates gets another port where an earlier flow has its tuple."""
        if id(passing.track) not in before:
            yield passing
            return
        given = NatRange(passing.now["source"])
        yield from apply(passing, "snat", given, None, "postrouting", self.machine.entries)

    def _confirmed(self, passing: Passing, hook: Hook, ends: Ends) -> Iterator[Passing]:
        if passing.track is None:
            yield passing
            return
        if passing.state == "new" and conntrack.clashes(passing, self.machine.entries):
            note = "an earlier flow has the tuple of its answers, and there is no other port"
            ends.put(passing.noted(hook, "dropped", note=note), Dropped("conntrack"))
            return
        track = replace(passing.track, status=passing.track.status | {"confirmed"})
        yield replace(passing, track=track, flow=passing.flow or track)


def _rerouting(stage: _HookStage) -> _HookStage:
    """What it changes of an own packet has that routed again, by its mark of that moment. What a chain of type filter
    changes has not: nf_route_table_hook4(), nf_nat_ipv4_local_fn(), Linux 6.18.
    """

    def run(found: list[Passing]) -> list[Passing]:
        return [
            out
            if (out.mark, out.now["destination"]) == (one.mark, one.now["destination"])
            else replace(out, rerouted=out.mark)
            for one in found
            for out in stage([one])
        ]

    return run


def _beyond_the_wire(passing: Passing, ends: Ends) -> Passing | None:
    """Without what is for a link-local address, of which each wire may have another one."""
    if passing.family == 4:
        return passing
    neighbours, rest = passing.split(passing.now["destination"], _LINK_LOCAL)
    if neighbours is not None:
        ends.put(neighbours, NotModelled(Limit.LINK_LOCAL))
    return rest


def _routed(passing: Passing, way: FibResult, did: str = "routed") -> Passing:
    for subject in way.by[:-1]:
        passing = passing.noted("routing", did if len(way.by) == 1 else "routed", subject)
    if way.by:
        note = "to the gateway itself" if way.local else ""
        passing = passing.noted("routing", did, way.by[-1], note=note)
    return passing
