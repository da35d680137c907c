"""What the spec directory holds: a cheap fingerprint of its files, and the git revision it is at.

Does not read the specs (`language/load/loader.py` does) and never changes a repository.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nvi_operator.language.load.files import ENTRY_SUFFIXES, SUFFIXES, SpecFiles

_TIMEOUT = 10.0
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
    """Those of the files in `root` that a process has open for writing, as far as the kernel tells."""
    files = SpecFiles(root)
    return [name for name in names if files.is_being_written(name)]


def fingerprint(root: Path) -> Fingerprint:
    """Of the files in `root` (a directory or a file) that a load may read. Never raises.

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


@dataclass(frozen=True)
class Revision:
    """The commit that a spec directory is checked out at."""

    commit: str  # abbreviated
    branch: str | None  # None: a detached HEAD
    dirty: bool  # does the spec directory differ from the commit? The rest of the repository does not count

    def __str__(self) -> str:
        return f"{self.commit}{'+' if self.dirty else ''}{f' ({self.branch})' if self.branch else ''}"


def revision(root: Path) -> Revision | None:
    """The git revision of `root`; None outside of a checkout, before the first commit, or if git cannot tell."""
    directory = Path(os.path.realpath(root))
    if not directory.is_dir():
        directory = directory.parent
    top = next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), None)
    if top is None:
        return None
    status = _git(top, "status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--", str(directory))
    commit = _git(top, "rev-parse", "--short", "HEAD")
    if status is None or commit is None:
        return None
    entries = [entry for entry in status.split("\0") if entry]
    heads = [entry.removeprefix("# branch.head ") for entry in entries if entry.startswith("# branch.head ")]
    branch = heads[0] if heads and heads[0] != "(detached)" else None
    dirty = any(not entry.startswith("# ") for entry in entries)
    return Revision(commit.strip(), branch, dirty)


def _git(top: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, takes too long, or is not installed.

    A repository's own configuration can make git run programs (filters), and we are root. So git runs as
    the owner of the repository, who can run anything as themselves anyway.
    """
    command = ["git", "-C", str(top), "-c", f"safe.directory={top}", "-c", "core.fsmonitor=false", *arguments]
    try:
        owner = (top / ".git").stat()
        foreign = os.geteuid() == 0 and owner.st_uid != 0
        done = subprocess.run(
            command,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            user=owner.st_uid if foreign else None,
            group=owner.st_gid if foreign else None,
            extra_groups=() if foreign else None,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """No variable of ours may point git elsewhere, and it must not take locks that a user's git would meet."""
    return {
        "PATH": environment.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
