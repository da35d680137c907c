"""What was decided about a gateway, and is still to be done: one small file that is replaced as a whole.

    pending      a revision that was applied, and is given up unless it is confirmed before its deadline
    held         a revision that was given up: the spec directory's content is not tried while it is this one
    suspension   nothing is changed until it is over

One file, so that one step leads from one to the other: a kill finds the decision as it was or as it is. It holds the
files of the spec to return to, so that a lost history does not matter. Pure, but for `DecisionsFile`.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, KernelError
from nvi_operator.history.revision import Content
from nvi_operator.store.directory import damaged_name, file_errors, read_file, sweep, write_file

NAME = "decisions.json"
VERSION = 1


@dataclass(frozen=True)
class Moment:
    """`boot` is another one after each boot; `seconds` since then, with those in suspend (CLOCK_BOOTTIME)."""

    boot: str
    seconds: float


@dataclass(frozen=True)
class ReturnTarget:
    """A spec to return to. `revision` 0: none; then `content` has no files, and there was no gateway."""

    revision: int
    content: Content


@dataclass(frozen=True)
class PendingRevision:
    """`digest` is that of the content that was applied, `seconds` the time that its confirmation may take."""

    revision: int
    digest: str
    back: ReturnTarget
    deadline: Moment
    seconds: float
    by: str = "hand"  # or "proof", or "checks" alone
    given_up: str = ""  # why, although there was time left
    missing: str = ""  # what its proof lacks yet, and why
    unproven: tuple[str, ...] = ()  # checks that failed before the change as well

    def left(self, now: Moment) -> float:
        """Seconds. None after a reboot, which may have been the way out of a lock-out. The time
        of day is not asked: it may jump.
        """
        if self.given_up or now.boot != self.deadline.boot:
            return 0.0
        return max(0.0, self.deadline.seconds - now.seconds)

    def why(self, now: Moment) -> str:
        """It is over: why."""
        if self.given_up:
            return self.given_up
        if now.boot != self.deadline.boot:
            return "not confirmed before the reboot"
        return f"not confirmed within {self.seconds:g} s" + (f": {self.missing}" if self.missing else "")


@dataclass(frozen=True)
class Held:
    """`digest` is that of the content that is not tried; empty: of whatever the directory holds at the next look."""

    revision: int
    digest: str
    back: ReturnTarget
    why: str


@dataclass(frozen=True)
class Suspension:
    """`until` and `since` in seconds since 1970; None: until it is ended by hand. `end` is the same as `until` by a
    clock that does not jump, and counts within its boot.
    """

    reason: str
    author: str
    since: float
    until: float | None = None
    end: Moment | None = None

    def left(self, now: Moment, wall: float) -> float | None:
        """Seconds; None: until it is ended by hand."""
        if self.until is None:
            return None
        if self.end is not None and self.end.boot == now.boot:
            return max(0.0, self.end.seconds - now.seconds)
        return max(0.0, self.until - wall)


@dataclass(frozen=True)
class Decisions:
    """What was decided about revisions: at most one is pending, and one held."""

    pending: PendingRevision | None = None
    held: Held | None = None
    suspension: Suspension | None = None

    def suspended(self, now: Moment, wall: float) -> Suspension | None:
        """The suspension, while it lasts."""
        found = self.suspension
        return None if found is None or found.left(now, wall) == 0 else found

    def given_up(self, why: str) -> Decisions:
        """The pending revision is not tried again until it changes."""
        assert self.pending is not None
        gone = self.pending
        return replace(self, pending=None, held=Held(gone.revision, gone.digest, gone.back, why))

    def settled(self) -> Decisions:
        """Another spec was applied, or the pending one confirmed."""
        return replace(self, pending=None, held=None)


NOTHING = Decisions()


class DecisionsFile:
    """Written by the holder of the gateway's lock. `warnings` names what was damaged, or could not be read.

    `keeps_on`: what cannot be read is as it was read last, or nothing, so that a gateway can be changed though
    its disk fails. What decides (confirm, abort, suspend, resume) is refused then.
    """

    def __init__(self, directory: Path, *, keeps_on: bool = False) -> None:
        self.path = directory / NAME
        self.warnings: tuple[str, ...] = ()
        self._keeps_on = keeps_on
        self._known = False  # was it ever read?
        self._warned: set[str] = set()
        self._seen: tuple[int, ...] | None = None
        self._last = NOTHING

    def read(self) -> Decisions:
        """Quick while the file is as it was: it is asked for at every reconcile. Raises KernelError."""
        try:
            found = self._read()
            self._known = True
        except KernelError as error:
            if not self._keeps_on:
                raise
            what = "what was decided stays" if self._known else "nothing is taken to be pending, held or suspended"
            self._warn(f"{error.message}: {what}")
            return self._last
        return found

    def _read(self) -> Decisions:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self._seen, self._last = None, NOTHING
            return NOTHING
        except OSError:
            with file_errors(f"{self.path}: reading decisions"):
                raise
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            with file_errors(f"{self.path}: reading decisions"):
                data = self._bytes()
            self._last, self._seen = self._parsed(data), seen
        return self._last

    def write(self, decisions: Decisions) -> None:
        """On disk when this returns. Raises KernelError."""
        sweep(self.path)
        with file_errors(f"{self.path}: writing decisions"):
            if decisions == NOTHING:
                self.path.unlink(missing_ok=True)
                return
            write_file(self.path, json.dumps(_plain(decisions)).encode(), lasting=True)

    def _bytes(self) -> bytes:
        try:
            return read_file(self.path)
        except ConflictError as error:
            raise OSError(0, error.message) from error

    def _parsed(self, data: bytes) -> Decisions:
        try:
            return _decisions(json.loads(data))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            aside = damaged_name(self.path)
            try:
                self.path.rename(aside)
                became = f"renamed to {aside}"
            except OSError as failure:
                became = f"renaming it failed: {failure.strerror}"
            self._warn(f"{self.path}: was damaged: {error}; {became}: nothing is pending, held or suspended")
            return NOTHING

    def _warn(self, text: str) -> None:
        """Once: it is read again and again."""
        if text not in self._warned:
            self._warned.add(text)
            self.warnings += (text,)


def _plain(decisions: Decisions) -> dict[str, Any]:
    pending, held, suspension = decisions.pending, decisions.held, decisions.suspension
    return {
        "version": VERSION,
        "pending": pending and {**vars(pending), "back": _target(pending.back), "deadline": vars(pending.deadline)},
        "held": held and {**vars(held), "back": _target(held.back)},
        "suspension": suspension and {**vars(suspension), "end": suspension.end and vars(suspension.end)},
    }


def _target(target: ReturnTarget) -> dict[str, Any]:
    files = {name: b64encode(data).decode() for name, data in target.content.files.items()}
    return {"revision": target.revision, "gateway": target.content.gateway, "files": files}


def _decisions(data: Mapping[str, Any]) -> Decisions:
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']} is not known")
    pending, held, suspension = data["pending"], data["held"], data["suspension"]
    return Decisions(
        pending and _pending(pending),
        held and Held(**{**held, "back": _back(held)}),
        suspension and Suspension(**{**suspension, "end": (end := suspension.get("end")) and Moment(**end)}),
    )


def _pending(data: Mapping[str, Any]) -> PendingRevision:
    deadline, unproven = Moment(**data["deadline"]), tuple(map(str, data.get("unproven", ())))
    return PendingRevision(**{**data, "back": _back(data), "deadline": deadline, "unproven": unproven})


def _back(data: Mapping[str, Any]) -> ReturnTarget:
    back = data["back"]
    files = {name: b64decode(text, validate=True) for name, text in back["files"].items()}
    return ReturnTarget(int(back["revision"]), Content(str(back["gateway"]), files))
