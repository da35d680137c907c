"""Which entries have a box of their own, and which share one: a picture of 200 forwards is to be read as well."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from itertools import groupby

from nvi_operator.dataclass import dataclass
from nvi_operator.view.graph.entries import GraphEntry
from nvi_operator.view.graph.model import Opened

MOST_ALONE = 24  # entries in all, that have a box each
MOST_OF_SECTION = 8  # of one section, where there are more in all
MOST_GROUPS = 24  # of one section

_NOUNS = {
    "sourceNat": "rules",
    "forwards": "forwards",
    "redirects": "redirects",
    "static": "1:1 entries",
    "prefixNat": "prefixes",
    "twiceNat": "twice NAT entries",
}


@dataclass(frozen=True)
class Group:
    """Entries that share a box: of one section, in its order."""

    entries: tuple[GraphEntry, ...]
    inside: frozenset[str]
    uplinks: frozenset[str]
    opened: Opened

    @property
    def section(self) -> str:
        return self.entries[0].section

    @property
    def key(self) -> str:
        return f"{self.section} {self.entries[0].name}"

    @property
    def title(self) -> str:
        first = self.entries[0]
        if len(self.entries) == 1:
            return first.title
        at = f" at {min(self.uplinks)}" if self.opened is Opened.OUTSIDE and len(self.uplinks) == 1 else ""
        return f"{len(self.entries):,} {_NOUNS[first.section]}{at}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Of a single entry its own lines; of several how many servers they lead to, and names."""
        if len(self.entries) == 1:
            return self.entries[0].lines
        servers = {server for entry in self.entries for server in entry.servers}
        names = ", ".join(entry.title for entry in self.entries)
        if not servers:
            return (names,)
        return (f"to {servers.pop()}" if len(servers) == 1 else f"to {len(servers):,} servers", names)

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(entry.title for entry in self.entries) if len(self.entries) > 1 else ()


def grouped(entries: Iterable[GraphEntry], named: Collection[tuple[str, str]] = ()) -> list[Group]:
    """`named`: entries (section, name) that keep a box of their own."""
    sections = [tuple(group) for _, group in groupby(entries, key=lambda entry: entry.section)]
    roomy = sum(map(len, sections)) <= MOST_ALONE
    groups: list[Group] = []
    for section in sections:
        if roomy or len(section) <= MOST_OF_SECTION:
            groups += [_group((entry,)) for entry in section]
        else:
            groups += _of_section(section, named)
    return groups


def _of_section(section: Sequence[GraphEntry], named: Collection[tuple[str, str]]) -> list[Group]:
    """By the finest of these keys that leaves few enough groups; in the order of their uplinks, where none counts."""
    keys: tuple[Callable[[GraphEntry], Hashable], ...] = (
        lambda entry: (entry.inside, entry.uplinks, entry.opened),
        lambda entry: (entry.uplinks, entry.opened),
        lambda entry: entry.opened,
    )
    for key in keys:
        found: dict[Hashable, list[GraphEntry]] = {}
        for entry in section:
            alone = (entry.section, entry.name) in named
            found.setdefault((entry.name,) if alone else key(entry), []).append(entry)
        if len(found) <= MOST_GROUPS + len(named):
            break
    groups = [_group(entries) for entries in found.values()]
    if section[0].number is not None:
        return groups
    uplinks = sorted({name for entry in section for name in entry.uplinks})
    return sorted(groups, key=lambda group: _mean(uplinks.index(name) for name in group.uplinks))


def _mean(numbers: Iterable[int]) -> float:
    several = list(numbers)
    return sum(several) / len(several) if several else 0


def _group(entries: Sequence[GraphEntry]) -> Group:
    return Group(
        tuple(entries),
        frozenset().union(*(entry.inside for entry in entries)),
        frozenset().union(*(entry.uplinks for entry in entries)),
        entries[0].opened,
    )
