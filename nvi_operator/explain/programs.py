"""The eBPF programs of the gateway: the device, the guards at ingress and egress. As their C says it.

kernel/bpf/programs/{device,ingress_guard,egress_guard}.bpf.c; the module's transmit function does as the device's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from nvi_operator.dataclass import dataclass, replace
from nvi_operator.explain.limits import Limit
from nvi_operator.explain.machine import Machine
from nvi_operator.explain.numbers import address_span
from nvi_operator.explain.packet import ICMP_OF, TCP
from nvi_operator.explain.passing import Ends, Passing
from nvi_operator.explain.spans import Span, Spans
from nvi_operator.explain.verdict import Dropped, NotModelled
from nvi_operator.kinds.egress_guard import EgressGuard, GuardEntry, PrefixRole
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.tc_program import TcProgram
from nvi_operator.language.model.values import FAMILIES, Family

_NEIGHBOURS = Spans.of(((133, 133), (135, 136)))
_MULTICAST_6 = Spans(((0xFF << 120, (1 << 128) - 1),))
_UNREACHABLE = {4: 3, 6: 1}
_FRAGMENTATION_NEEDED = 4


@dataclass(frozen=True)
class Device:
    """How the device hands packets back. `known` are the in-interfaces that it knows; None: all (the module)."""

    by_mark: bool
    stage_mask: int
    hide_hop: bool
    known: frozenset[int] | None
    subject: object


class Programs:
    """What the device does to a packet, be it a program or nvi.ko, and the programs that guard interfaces."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    # ------------------------------------------------------------------ the device

    @cached_property
    def device(self) -> Device | None:
        """None: it hands nothing back."""
        for program in self._machine.state.of_kind("tc-program"):
            if isinstance(program, TcProgram) and program.options is not None:
                options, known = program.options, frozenset(each.ifindex for each in program.ports)
                return Device(options.source == "mark", options.stage_mask, options.hide_hop, known, program)
        for link in self._machine.state.of_kind("link"):
            if isinstance(link, Link) and link.kind == "nvi":
                given = dict(link.attributes)
                hides = bool(given["ttl_compensation"])
                return Device(not given["in_interface"], given["stage_mask"], hides, None, link)
        return None

    def returned(self, passing: Passing, ends: Ends) -> Passing | None:
        """The packet as the device hands it back; None where it does not."""
        device = self.device
        if device is None:
            ends.put(passing.noted("device", "dropped"), Dropped("device"))
            return None
        why = self._refused(device, passing)
        if why is not None:
            ends.put(passing.noted("device", "dropped", device.subject, note=why), Dropped("device", why))
            return None
        ifindex = self._in_ifindex(device, passing)
        back = next((i.name for i in self._machine.interfaces.values() if i.ifindex == ifindex), None)
        back = back or self._machine.device
        mark = device.stage_mask if device.by_mark else passing.mark
        made = replace(
            passing,
            stage=2,
            in_interface=back,
            out_interface=None,
            mark=mark,
            state=None,
            track=None,
            zone=0,
            ttl=passing.ttl + (device.hide_hop and passing.ttl < 255),
            passes=passing.passes + 1,
        )
        changes = (("mark", passing.mark, mark),) if mark != passing.mark else ()
        return made.noted("device", "returned", device.subject, changes=changes, note=f"received again on {back}")

    def _in_ifindex(self, device: Device, passing: Passing) -> int:
        if device.by_mark:
            return passing.mark & ~device.stage_mask
        return 0 if passing.is_own else self._machine.interfaces[passing.in_interface or ""].ifindex

    def _refused(self, device: Device, passing: Passing) -> str | None:
        """The name of its counter."""
        if passing.passes:
            return "loop"
        if not passing.mark & device.stage_mask:
            return "no_stage_bit"
        ifindex = self._in_ifindex(device, passing)
        unknown = bool(ifindex) and device.known is not None and ifindex not in device.known
        return "no_device" if unknown else None

    # ------------------------------------------------------------------ ingress

    @cached_property
    def _ingress_guards(self) -> Mapping[str, IngressGuard]:
        guards = self._machine.state.of_kind("ingress-guard")
        return {guard.ifname: guard for guard in guards if isinstance(guard, IngressGuard)}

    @cached_property
    def _guarded(self) -> Mapping[tuple[str, Family], Spans]:
        """The sources that each guard at an ingress refuses."""
        return {
            (guard.ifname, family): Spans.of(address_span(a) for a in guard.entries if (":" in a) == (family == 6))
            for guard in self._ingress_guards.values()
            for family in FAMILIES
        }

    def arrived(self, passing: Passing, ends: Ends) -> Passing | None:
        """What the guard at the ingress lets in."""
        guard = self._ingress_guards.get(passing.in_interface or "")
        if guard is None:
            return passing
        if guard.stage_mask is None:
            ends.put(passing, NotModelled(Limit.FOREIGN_PROGRAM, guard.key))
            return None
        if passing.mark & guard.stage_mask:
            return passing
        refused, rest = passing.split(passing.now["source"], self._guarded[guard.ifname, passing.family])
        if refused is not None:
            step = refused.noted("ingress", "dropped", guard, note="its source is an address of the gateway")
            ends.put(step, Dropped(f"ingress of {guard.ifname}", "spoofed"))
        return rest

    # ------------------------------------------------------------------ egress

    @cached_property
    def _egress_guards(self) -> Mapping[str, EgressGuard]:
        guards = self._machine.state.of_kind("egress-guard")
        return {guard.ifname: guard for guard in guards if isinstance(guard, EgressGuard)}

    def leaving(self, passing: Passing, ends: Ends) -> Iterator[Passing]:
        """What the guard at the egress lets out."""
        guard = self._egress_guards.get(passing.out_interface or "")
        if guard is None:
            yield passing
            return
        if guard.stage_mask is None:
            ends.put(passing, NotModelled(Limit.FOREIGN_PROGRAM, guard.key))
            return
        rest: Passing | None = passing
        for entry, spans in self._prefixes(guard, "source", passing.family):
            if rest is not None:
                inside, rest = rest.split(rest.now["source"], spans)
                if inside is not None:
                    yield from self._judged(guard, inside, entry.standing, entry.rules, ends)
        if rest is not None:
            yield from self._judged(guard, rest, PrefixRole.NONE, 0, ends)

    def _judged(
        self, guard: EgressGuard, passing: Passing, standing: PrefixRole, rules: int, ends: Ends
    ) -> Iterator[Passing]:
        assert guard.stage_mask is not None
        has_stage = bool(passing.mark & guard.stage_mask)
        if standing & PrefixRole.OWN:
            ending = _ends_flow(passing) if passing.is_own and not has_stage else None
            if ending is None:
                yield passing
                return
            refused, others = ending
            self._drop(guard, refused, "reset", ends)
            if others is not None:
                yield others
            return
        if standing & PrefixRole.FREE:
            yield passing
            return
        if passing.is_own:
            yield from self._own(guard, passing, standing, ends)
            return
        rest: Passing | None = passing
        for entry, spans in self._prefixes(guard, "destination", passing.family) if has_stage and rules else ():
            if rest is not None and entry.rules & rules:
                inside, rest = rest.split(rest.now["destination"], spans)
                if inside is not None:
                    yield inside
        self._drop(guard, rest, "untranslated" if standing & PrefixRole.INSIDE else "foreign", ends)

    def _own(self, guard: EgressGuard, passing: Passing, standing: PrefixRole, ends: Ends) -> Iterator[Passing]:
        rest: Passing | None = passing
        if standing and passing.family == 6:
            groups, rest = passing.split(passing.now["destination"], _MULTICAST_6)
            if groups is not None:
                yield groups
            icmp, others = rest.of_protocols(ICMP_OF[6]) if rest is not None else (None, None)
            neighbours, errors = icmp.split(icmp.now["icmp_type"], _NEIGHBOURS) if icmp is not None else (None, None)
            if neighbours is not None:
                yield neighbours
            for each in (errors, others):
                self._drop(guard, each, "untranslated" if standing & PrefixRole.INSIDE else "wrong_uplink", ends)
            return
        if not standing:
            yield passing
        else:
            self._drop(guard, rest, "untranslated" if standing & PrefixRole.INSIDE else "wrong_uplink", ends)

    def _drop(self, guard: EgressGuard, passing: Passing | None, counter: str, ends: Ends) -> None:
        if passing is not None:
            ends.put(
                passing.noted("egress", "dropped", guard, note=counter), Dropped(f"egress of {guard.ifname}", counter)
            )

    def _prefixes(self, guard: EgressGuard, side: str, family: Family) -> Iterable[tuple[GuardEntry, Spans]]:
        """The entries with the addresses of which each is the longest match, those that mean the same together."""
        key = guard.ifname, side, family
        if key not in self._flat:
            self._flat[key] = tuple(_flattened(guard.entries, side, family))
        return self._flat[key]

    @cached_property
    def _flat(self) -> dict[tuple[str, str, int], tuple[tuple[GuardEntry, Spans], ...]]:
        return {}


def _flattened(entries: Iterable[GuardEntry], side: str, family: Family) -> Iterator[tuple[GuardEntry, Spans]]:
    """Prefixes nest: each loses what lies within it."""
    mine = [(address_span(e.network), e) for e in entries if e.side == side and (":" in e.network) == (family == 6)]
    mine.sort(key=lambda item: (item[0][0], -item[0][1]))
    parts: dict[tuple[PrefixRole, int], list[Span]] = {}
    first: dict[tuple[PrefixRole, int], GuardEntry] = {}
    open_: list[tuple[int, GuardEntry, int]] = []  # its end, the entry, where its next part begins

    def close(before: int) -> None:
        while open_ and open_[-1][0] < before:
            end, entry, start = open_.pop()
            put(entry, start, end)
            if open_:
                outer_end, outer, _ = open_[-1]
                open_[-1] = (outer_end, outer, end + 1)

    def put(entry: GuardEntry, start: int, end: int) -> None:
        meaning = entry.standing, entry.rules
        first.setdefault(meaning, entry)
        if start <= end:
            parts.setdefault(meaning, []).append((start, end))

    for (start, end), entry in mine:
        close(start)
        if open_:
            outer_end, outer, begun = open_[-1]
            put(outer, begun, start - 1)
            open_[-1] = (outer_end, outer, start)
        open_.append((end, entry, start))
    close(1 << 129)
    for meaning, spans in parts.items():
        yield first[meaning], Spans.of(spans)


def _ends_flow(passing: Passing) -> tuple[Passing, Passing | None] | None:
    """Resets and destination unreachable: the part of these, and the rest."""
    icmp, others = passing.of_protocols(ICMP_OF[passing.family])
    if icmp is not None and others is None:
        inside, rest = icmp.split(icmp.now["icmp_type"], Spans.one(_UNREACHABLE[passing.family]))
        needed = passing.family == 4 and passing.region.like.icmp_code == _FRAGMENTATION_NEEDED
        return None if inside is None or needed else (inside, rest)
    tcp, rest = passing.of_protocols(TCP)
    return (tcp, rest) if tcp is not None and "rst" in tcp.flags else None
