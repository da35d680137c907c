"""The least nft text that turns one table into another, as one transaction.

A chain is rewritten as a whole when one of its rules differs: rules hold no state, since counters are named. Elements
are added and deleted one by one, so that one more port forward is one more element. The order within the
transaction: empty what changes, delete, define, fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import KernelError
from nvi_operator.nft.ast import Table
from nvi_operator.nft.objects import ObjectKind, is_kept, kinds_of, without_objects


def transaction(before: Table | None, after: Table | None) -> str:
    """Text for `nft -f`; empty when nothing differs. KernelError if a foreign object would have to be created."""
    if after is None:
        return "" if before is None else f"delete table inet {before.name}\n"
    lines: list[str] = []
    if before is not None and not is_kept(before, after):
        # Foreign objects and flags of a table cannot be removed one by one.
        lines.append(f"delete table inet {before.name}")
        before = None
    if before is None:
        if after.foreign:
            raise KernelError(
                f"nft table inet {after.name}: {min(after.foreign)}: nvictl cannot create such an object"
            )
        flags = f" {{ flags {', '.join(sorted(after.flags))}; }}" if after.flags else ""
        lines.append(f"add table inet {after.name}{flags}")
    lines += _commands(before or without_objects(after), after)
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class _Changes:
    """The objects of one kind, before and after, by name."""

    kind: ObjectKind[Any]
    old: dict[str, Any]
    new: dict[str, Any]

    def is_kept(self, name: str) -> bool:
        return name in self.old and name in self.new and self.kind.becomes(self.old[name], self.new[name])

    @property
    def deleted(self) -> list[str]:
        return [name for name in self.old if not self.is_kept(name)]

    @property
    def added(self) -> list[str]:
        return [name for name in self.new if not self.is_kept(name)]


def _commands(before: Table, after: Table) -> Iterator[str]:
    table = f"inet {after.name}"
    changes = [_Changes(kind, kind.of(before), kind.of(after)) for kind in kinds_of(after)]
    # Whatever refers to a deleted set or chain has to let go of it first. Rewriting every chain is simple and right,
    # and happens only when a definition changes.
    again = any(change.deleted for change in changes if change.kind.contents)
    for change in changes:
        yield from _emptied(table, change, again)
    for change in reversed(changes):
        for name in change.deleted:
            yield f"delete {change.kind.noun(change.old[name])} {table} {name}"
    for change in changes:
        for name in change.added:
            definition = change.kind.definition(change.new[name])
            body = f" {{ {definition} }}" if definition else ""
            yield f"add {change.kind.noun(change.new[name])} {table} {name}{body}"
    for change in reversed(changes):
        yield from _filled(table, change, again)


def _emptied(table: str, change: _Changes, again: bool) -> Iterator[str]:
    if contents := change.kind.contents:
        for name, old in change.old.items():
            yield from contents.emptied(table, old, change.new[name] if change.is_kept(name) else None, again)


def _filled(table: str, change: _Changes, again: bool) -> Iterator[str]:
    if contents := change.kind.contents:
        for name, new in change.new.items():
            yield from contents.filled(table, change.old[name] if change.is_kept(name) else None, new, again)
