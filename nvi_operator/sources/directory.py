"""A spec directory: reads it when it changed and no process is writing it, and keeps the last good spec.

A spec that is wrong is an error to report and no more: a typing error must never take a gateway down.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import SpecError
from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.fast.incremental import reload_file
from nvi_operator.language.load.loader import load_directory
from nvi_operator.sources.fingerprint import Fingerprint, being_written, fingerprint
from nvi_operator.sources.revision import CheckedOutCommit
from nvi_operator.sources.state import SpecState
from nvi_operator.sources.working_copy import revision


@dataclass(frozen=True)
class Look:
    """What a look at the directory found, compared with the look before."""

    changed: bool = False  # it differs
    untouched: bool = False  # it is certain that it does not: two writes within a tick look alike
    pending: bool = False  # a process is writing: look again, and read nothing
    note: str = ""  # for the log


@dataclass(frozen=True)
class LoadResult:
    """What a load did."""

    read: bool  # was anything read?
    delta: Delta | None = None  # of a few forwards, where that was all; then nothing else was read


class SpecDirectory:
    """`gateway` is the one to follow where the directory holds several, `host` the name of this machine in it: left
    out, its hostname as it is now. Another one that a DHCP server gives it later makes it no other gateway.

    `revision` knows where its content is from, `explain` the names by which the user knows its files.
    """

    def __init__(
        self,
        path: Path,
        gateway: str | None = None,
        host: str | None = None,
        *,
        being_written: Callable[[Path, list[str]], list[str]] = being_written,
        revision: Callable[[Path], CheckedOutCommit | None] = revision,
        explain: Callable[[SpecError], SpecError] = lambda error: error,
    ) -> None:
        self.path = path
        self.state = SpecState()
        self._gateway = gateway
        self._host = host or socket.gethostname()
        self._being_written = being_written
        self._revision_of = revision
        self._explain = explain
        self._seen: Fingerprint | None = None  # at the last look that was not pending
        self._read: Fingerprint | None = None  # when it was read last
        self._revision: CheckedOutCommit | None = None
        self._ask_revision = False

    def look(self, now: float) -> Look:
        """Did it change, and may it be read? At the first look, what is open for writing is read as it is."""
        found, before = fingerprint(self.path), self._seen
        writing = self._being_written(self.path, before.changed(found)) if before else []
        note = ""
        if writing:
            self.state = self.state.saving(found, tuple(writing), now)
            pending = self.state.pending
            assert pending is not None
            if not pending.is_overdue(now):
                return Look(pending=True)
            note = f"{', '.join(writing)}: open for writing for {now - pending.began:.0f} s: read as it is"
        self.state = self.state.saved()
        self._seen = found
        return Look(changed=before != found, untouched=before is not None and before.same(found), note=note)

    def load(self) -> LoadResult:
        """Read the directory if it may have changed since; `state` says what came of it."""
        self._ask_revision |= self.state.bad is None  # a commit need not touch a file
        found, before = fingerprint(self.path), self._read
        if before is not None and before.same(found):
            return LoadResult(read=False)
        self._read = found
        if before is not None and (delta := self._load_delta(before.only_change(found))):
            return LoadResult(read=True, delta=delta)
        try:
            spec = load_directory(self.path, hostname=self._host, gateway=self._gateway)
            self.state = self.state.loaded(spec)
            self._ask_revision = True
        except SpecError as error:
            self.state = self.state.refused(self._explain(error))
            self._ask_revision = False
        return LoadResult(read=True)

    def _load_delta(self, file: str | None) -> Delta | None:
        good = self.state.good
        if file is None or good is None or self.state.bad is not None:
            return None
        found = reload_file(good, file, self.path)
        if found is None:
            return None
        self.state = self.state.loaded(found[0])
        return found[1]

    @property
    def revision(self) -> CheckedOutCommit | None:
        """The revision of the spec in force. Asked when it is needed: git takes longer than a reconcile."""
        if self._ask_revision:
            self._revision, self._ask_revision = self._revision_of(self.path), False
        return self._revision
