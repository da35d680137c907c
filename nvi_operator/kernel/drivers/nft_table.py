"""The private nftables table: observed as it is, changed only from what was observed.

libnftables lists and makes the skeleton: chains, rules, sets without their elements. Elements are read as the
kernel holds them, and written so where they are many; `nft/batches.py` says what goes which way.

The generation of the ruleset guards both. Elements go to the kernel with the generation that they were
planned for, and it refuses them for any other. libnftables cannot do that: there the generation is compared
right before and right after, and if another process changed it between, the table is read again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConcurrentChangeError, ConflictError, KernelError, NftCrashedError, NviError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import HINTS, kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kernel.netlink.interfaces import ifindex_of
from nvi_operator.kernel.netlink.nfnetlink import ElementError, Nfnetlink
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.kinds.nft_table import NFT_TABLE
from nvi_operator.nft.ast import Element, ForeignObject, NamedSet, Table
from nvi_operator.nft.batches import MANY, Batch, batches, batches_to_check
from nvi_operator.nft.listing import parse_table
from nvi_operator.nft.shapes import ListingError
from nvi_operator.nft.text import element_text
from nvi_operator.nft.wire.attributes import WireError
from nvi_operator.nft.wire.codec import codec_of, elements
from nvi_operator.nft.wire.intervals import intervals_of
from nvi_operator.nft.wire.messages import after
from nvi_operator.nft.wire.packed_elements import PackedElements
from nvi_operator.nft.wire.replay import replayed
from nvi_operator.plan.change import Change
from nvi_operator.ruleset.table import TABLE
from nvi_operator.state.host import HostState

if TYPE_CHECKING:
    from nvi_operator.nft.wire.monitor import ElementReport

_TRIES = 20  # while others keep changing nftables


@dataclass(frozen=True)
class _Seen:
    """The owned table at a generation of the ruleset: nothing in it changes without a new one."""

    generation: int | None = None
    table: Table | None = None


class NftTableDriver(Driver):
    """The table is owned by its name. Works in the network namespace of the calling thread.

    One that remembers may be kept from one reconcile to the next: it does not read again what has not changed, nor
    elements that the kernel just took, nor those whose changes between two generations `reported` knows. Use
    `invalidate` now and then to read everything. Optional listeners unsubscribe while `muted` is entered, for changes
    of many elements. `served` is told the generation that reports of elements are no longer needed for.
    """

    kind = NFT_TABLE.name
    follows = True

    def __init__(
        self,
        name: str,
        *,
        remember: bool = False,
        nft: Nft | None = None,
        muted: Callable[[], AbstractContextManager[None]] = nullcontext,
        reported: Callable[[int, int], Sequence[ElementReport] | None] = lambda earlier, later: None,
        served: Callable[[int | None], None] = lambda generation: None,
    ) -> None:
        self._nft = nft or Nft()
        self._wire = Nfnetlink()
        self._name = name
        self._remembers = remember
        self._muted = muted
        self._reported = reported
        self._served = served
        self._stays_ready = False
        self._seen = _Seen()
        self._known = _Seen()  # the same, and after a step what has to be there now

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> NftTableDriver:
        nft, events = Nft(shares=handles.lock_files), handles.events
        if events is None:
            return cls(TABLE, nft=nft)
        return cls(
            TABLE,
            remember=True,
            nft=nft,
            muted=events.without_nft,
            reported=events.elements,
            served=events.discard_elements,
        )

    def __enter__(self) -> NftTableDriver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._nft.close()
        self._wire.close()

    def release(self) -> None:
        """End the process of libnftables until it is needed again: few reconciles need it, and it takes 17 MiB."""
        self.stay_ready(self._stays_ready)
        self._served(self._seen.generation)

    def stay_ready(self, ready: bool) -> None:
        """Between reconciles, have a process at hand that was not used yet, or none."""
        self._stays_ready = ready
        if ready:
            self._nft.renew()
        else:
            self._nft.close()

    def invalidate(self) -> None:
        """The next observation reads everything."""
        self._seen = _Seen()

    def observe(self, desired: HostState) -> Iterator[Table]:
        self._seen = self._seen_now(self._seen) if self._remembers else self._look()
        self._known = self._seen
        if self._seen.table is not None:
            yield self._seen.table

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        """The named counters of the table."""
        packets = self._wire.counters(self._name)
        return {f"nft table inet {self._name}": packets} if packets else {}

    def is_atomic(self, change: Change) -> bool:
        return len(batches(*_tables(change))) == 1

    def check(self, change: Change) -> None:
        """Would the kernel take it? What it cannot judge yet are elements of maps that are still to be made.

        ConflictError if another process owns the table.
        """
        with self._not_owned():
            for step in batches_to_check(*_tables(change)):
                if step.text:
                    self._nft.check(step.text)
                else:
                    self._send(step, commit=False)

    def apply(self, change: Change) -> None:
        """Raises ConcurrentChangeError if the table is not, or not any more, what the change is planned from.

        ConflictError if another process owns the table.
        """
        with self._not_owned():
            for step in batches(*_tables(change)):
                if step.text:
                    self._apply_text(step)
                else:
                    self._apply_elements(step)

    @contextmanager
    def _not_owned(self) -> Iterator[None]:
        """What is refused because another process owns the table becomes a ConflictError that names it."""
        try:
            yield
        except NviError as error:
            owners = [t.owner for t in self._wire.tables() if (t.family, t.name) == ("inet", self._name)]
            if owners in ([], [None]):
                raise
            raise ConflictError(
                f"nft table inet {self._name}: changing it: the process with netlink port {owners[0]} owns it",
                hint="end that process (the port is its pid, as a rule): the kernel deletes a table with its owner",
            ) from error

    # ------------------------------------------------------------------ changing

    def _apply_text(self, step: Batch) -> None:
        generation = self._expect(step.before)
        try:
            self._nft.apply(step.text)
        except KernelError:
            self._expect(step.before)  # was it planned for a table that others changed meanwhile?
            raise
        self._known = _Seen(after(generation), step.after)
        self._expect(step.after)

    def _apply_elements(self, step: Batch) -> None:
        many = sum(len(change.elements) for change in step.elements) > MANY
        for _ in range(_TRIES):
            generation = self._expect(step.before)
            try:
                with self._muted() if many else nullcontext():
                    self._send(step, generation=generation)
            except ConcurrentChangeError:
                continue  # another process changed nftables: this table?
            # The kernel took exactly these, upon exactly what was seen.
            self._seen = self._known = _Seen(after(generation), step.after)
            return
        raise ConcurrentChangeError(f"nft table inet {self._name}: apply: other processes keep changing nftables")

    def _expect(self, table: Table | None) -> int:
        """The generation of the ruleset now, with this as the owned table. ConcurrentChangeError otherwise."""
        self._known = self._seen_now(self._known)
        if self._known.table != table or self._known.generation is None:
            raise ConcurrentChangeError(
                f"nft table inet {self._name}: apply: another process changed it meanwhile",
                hint="it is planned again",
            )
        return self._known.generation

    def _send(self, step: Batch, *, generation: int | None = None, commit: bool = True) -> None:
        with kernel_errors(f"nft table inet {self._name}: elements"):
            try:
                self._wire.send(self._name, step.elements, generation=generation, commit=commit)
            except ElementError as error:
                if error.errno == errno.EPERM:
                    raise
                raise self._refused(step, error) from error

    def _refused(self, step: Batch, error: ElementError) -> KernelError:
        what = "elements"
        if error.change is not None:
            what = f"{error.change.verb} element of {error.change.set}"
            sets = [*(step.after.sets if step.after else ()), *(step.before.sets if step.before else ())]
            named = next((s for s in sets if s.name == error.change.set), None)
            if named is not None and error.element is not None:
                what += f" {{ {_drawn(named, error.element)} }}"
        message = f"nft table inet {self._name}: {what}: {error.strerror}"
        return KernelError(message, hint=HINTS.get(error.errno or 0, ""))

    # ------------------------------------------------------------------ looking

    def _seen_now(self, before: _Seen) -> _Seen:
        """What is there now: what was seen before, what the kernel reported since, or what a look finds."""
        generation = self._wire.generation()
        if before.generation == generation:
            return before
        if before.generation is not None and before.table is not None:
            reported = self._reported(before.generation, generation)
            if reported is not None and (table := replayed(before.table, reported)):
                return _Seen(generation, table)
        return self._look()

    def _look(self) -> _Seen:
        """The table, and the generation of which all of it is."""
        for _ in range(_TRIES):
            generation = self._wire.generation()
            with kernel_errors(f"nft table inet {self._name}: reading"):
                try:
                    table = self._read()
                except FileNotFoundError:
                    continue  # the table, or a set that was listed, has gone
            if generation == self._wire.generation():
                return _Seen(generation, table)
        raise ConcurrentChangeError(f"nft table inet {self._name}: reading: other processes keep changing it")

    def _read(self) -> Table | None:
        there = next((t for t in self._wire.tables() if (t.family, t.name) == ("inet", self._name)), None)
        if there is None:
            return None
        skeleton = self._skeleton(there.flags)
        sets, foreign = set[NamedSet](), set(skeleton.foreign)
        for named in map(self._with_elements, skeleton.sets):
            foreign.add(named) if isinstance(named, ForeignObject) else sets.add(named)
        return replace(skeleton, sets=frozenset(sets), foreign=frozenset(foreign), flags=there.flags)

    def _skeleton(self, flags: Collection[str]) -> Table:
        """The table without elements. FileNotFoundError if it has gone meanwhile."""
        try:
            skeleton = self._parsed()
        except NftCrashedError:
            if not flags:
                raise
            return Table(self._name)  # nft 1.0.6 can fail at the flags; with any the table is made again anyway
        if skeleton is None:
            raise FileNotFoundError(self._name)
        return skeleton

    def _parsed(self) -> Table | None:
        objects = self._nft.list_skeleton(self._name)
        try:
            return parse_table(objects, self._name, ifindex_of)
        except ListingError as error:
            raise NftCrashedError(
                f"nft table inet {self._name}: listing: not in the form that nft prints ({error})",
                hint="made by a newer nft? nvictl doctor says what it cannot list",
            ) from error

    def _with_elements(self, named: NamedSet) -> NamedSet | ForeignObject:
        """A ForeignObject for a set of types, or with elements, that the ruleset never has."""
        codec, intervals = codec_of(named), intervals_of(named)
        try:
            if codec is not None:
                found = PackedElements(codec, self._wire.elements(self._name, named.name, codec.split))
                return replace(named, elements=self._shared(named.name, found))
            if intervals is not None:
                raw = self._wire.elements(self._name, named.name, elements)
                return replace(named, elements=intervals.elements(raw))
        except WireError:
            pass
        return ForeignObject("map" if named.values else "set", named.name)

    def _shared(self, name: str, found: PackedElements) -> Set[Element]:
        """The elements that are known already, if these are the same: half the memory, and compared at once."""
        known = self._known.table.sets if self._known.table else frozenset()
        return next((s.elements for s in known if s.name == name and s.elements == found), found)


def _tables(change: Change) -> tuple[Table | None, Table | None]:
    before = change.before if isinstance(change.before, Table) else None
    after = change.after if isinstance(change.after, Table) else None
    return before, after


def _drawn(named: NamedSet, element: bytes) -> str:
    if not isinstance(named.elements, PackedElements):
        return f"0x{element.hex()}"
    (shown,) = PackedElements(named.elements.codec, frozenset([element]))
    return element_text(shown, named.key, named.values)
