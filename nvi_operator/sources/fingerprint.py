"""A cheap fingerprint of the files of a spec directory. Does not read them: `language/load/loader.py` does."""

from __future__ import annotations

import time
from dataclasses import field
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.language.load.files import ENTRY_SUFFIXES, SUFFIXES, SpecFiles

# Two writes of one size within a tick of the filesystem's clock look alike (before 6.13; up to 10 ms).
_TICK_NS = 20_000_000


@dataclass(frozen=True)
class Fingerprint:
    """Equal fingerprints: the same files, untouched; unless one was taken in the very tick of a write."""

    files: frozenset[tuple[str, tuple[int, ...]]]
    settled: bool = field(default=True, compare=False)

    def same(self, later: Fingerprint) -> bool:
        """Is it certain that nothing changed from this to `later`?"""
        return self.settled and self == later

    def changed(self, later: Fingerprint) -> list[str]:
        """The files of `later` that are not as they were in this one."""
        before = dict(self.files)
        return sorted(file for file, facts in later.files if before.get(file) != facts)

    def only_change(self, later: Fingerprint) -> str | None:
        """The one file that changed from this to `later`, where it is certain that nothing else did."""
        before, after = dict(self.files), dict(later.files)
        if not self.settled or before.keys() != after.keys():
            return None
        changed = [file for file in after if before[file] != after[file]]
        return changed[0] if len(changed) == 1 else None


def being_written(root: Path, names: list[str]) -> list[str]:
    """The files in `root` that a process has open for writing, as far as the kernel tells."""
    files = SpecFiles(root)
    return [name for name in names if files.is_being_written(name)]


def fingerprint(root: Path) -> Fingerprint:
    """The fingerprint of the files in `root` (a directory or a file) that a load may read. Never raises.

    A file of entries counts whether a document names it or not. What cannot be read counts as such, so that a change
    of rights is a change.
    """
    files = SpecFiles(root)
    names, errors = files.names((*SUFFIXES, *ENTRY_SUFFIXES) if files.is_directory else ENTRY_SUFFIXES)
    if not files.is_directory:
        names.append(str(root))
    found = {name: files.facts(name) for name in names}
    newest = max((max(facts[3:], default=0) for facts in found.values()), default=0)
    found |= {str(error.filename): (-1, error.errno or 0) for error in errors}
    return Fingerprint(frozenset(found.items()), settled=time.time_ns() - newest > _TICK_NS)
