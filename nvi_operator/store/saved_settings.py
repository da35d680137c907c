"""Settings of others that we changed, and what they were before: sysctls, and the link groups of uplinks.

One file in /run for each network namespace (by SO_NETNS_COOKIE, unique since boot): after a reboot both the settings
and the record of them are gone together. Written under the gateway's lock, before the setting is changed.

The record tells root what to write where, so it holds what we may change and nothing else. What is damaged is set
aside under another name. Beside the settings it holds whether the host forwarded when the gateway was begun: where
forwarding is on and its own entry is lost, that tells what to restore, and without it forwarding ends switched off.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nvi_operator.errors import ConflictError, KernelError
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.sysctl import FORWARDING as FORWARDING_OF
from nvi_operator.kinds.sysctl import SYSCTL
from nvi_operator.state.restorable import is_number
from nvi_operator.store.directory import RUN, file_errors, open_file, sweep, write_file

CLSACT = "clsact"  # the number of an interface that had no such qdisc, and "none"
FORWARDING = "forwarding"  # as it was before the first step of all
_MOST_BYTES = 1 << 22  # ten thousand interfaces fit in
_NOT_A_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EIO)

Entry = tuple[str, str, str]  # kind, key, value before us


@dataclass(frozen=True)
class _Record:
    """What the file says. `damage`: what of it cannot be believed; None for a missing file or a good one."""

    entries: tuple[Entry, ...] = ()
    damage: str | None = None


class SavedSettings:
    """A small persistent mapping; every change is on disk before the caller acts on it.

    `warnings` says what was found to be wrong.
    """

    def __init__(self, cookie: int, directory: Path = RUN) -> None:
        self._path = directory / f"lent-{cookie}.json"
        self.warnings: tuple[str, ...] = ()

    def all(self, kind: str) -> dict[str, str]:
        """Key -> value before us, for objects of one kind."""
        return {key: value for owner, key, value in self._load().entries if owner == kind}

    @property
    def incomplete(self) -> bool:
        """Is it missing or damaged? Beside a gateway that stands, this means that settings were lost."""
        record = self._load()
        return record.damage is not None or not record.entries

    def begin(
        self,
        forwarding: Mapping[str, str],
        defaults: Mapping[tuple[str, str], str],
        *,
        stands: bool,
        needed: bool,
    ) -> None:
        """Before the first step of a pass. `forwarding` is how the host forwards now; does a gateway stand already?

        `defaults` says for each setting that is ours what to restore where that is not recorded. Raises KernelError
        where nothing can be written and `needed`: a `down` needs no record.
        """
        record = self._load()
        kept = [entry for entry in record.entries if stands or entry[0] != FORWARDING]
        known = {(kind, key) for kind, key, _ in kept}
        lost = [(kind, key, value) for (kind, key), value in defaults.items() if (kind, key) not in known]
        kept += lost
        kept += [
            (FORWARDING, path, "0" if stands else value)
            for path, value in forwarding.items()
            if (FORWARDING, path) not in known
        ]
        sweep(self._path)
        if lost:
            names = ", ".join(f"{key} = {value}" for _, key, value in lost)
            self.warn(f"{self._path}: what was before this gateway is not recorded, `down` sets: {names}")
        try:
            self._set_aside(record)
            if tuple(kept) != record.entries or record.damage:
                self._store(kept)
        except KernelError:
            if needed:
                raise

    def save(self, kind: str, key: str, value: str) -> None:
        """Keep `value`, unless an earlier one is kept: the first is what was before us."""
        if not _is_ours(kind, key, value):
            raise KernelError(f"{kind} {key}: it is none of the settings that we change")
        entries = self._load().entries
        if not any((owner, name) == (kind, key) for owner, name, _ in entries):
            self._store([*entries, (kind, key, value)])

    def forget(self, kind: str, key: str) -> None:
        entries = self._load().entries
        left = [entry for entry in entries if entry[:2] != (kind, key)]
        if len(left) == len(entries):
            return
        try:
            self._store(left)
        except KernelError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.ENOSPC:
                raise
            self._shrink(left)

    def end(self) -> None:
        """No owned object is left: without entries the file is deleted."""
        if all(kind == FORWARDING for kind, _, _ in self._load().entries):
            with file_errors(f"{self._path}: removing"):
                self._path.unlink(missing_ok=True)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings += (text,)

    # ---------------------------------------------------------------- the file

    def _load(self) -> _Record:
        try:
            with open(open_file(self._path, os.O_RDONLY, create=False), "rb") as file:
                record = _parsed(file.read(_MOST_BYTES + 1))
        except FileNotFoundError:
            return _Record()
        except ConflictError as error:
            record = _Record(damage=error.message)
        except OSError as error:
            if error.errno not in _NOT_A_FILE:
                with file_errors(f"{self._path}: reading the settings before us"):
                    raise
            record = _Record(damage=error.strerror or str(error))
        if record.damage:
            self.warn(f"{self._path}: it is damaged: {record.damage}; the next change sets it aside")
        return record

    def _set_aside(self, record: _Record) -> None:
        if record.damage is None:
            return
        aside = self._path.with_suffix(".damaged")
        with file_errors(f"{self._path}: setting it aside"):
            self._path.replace(aside)
        self.warnings = tuple(text for text in self.warnings if "the next change sets it aside" not in text)
        self.warn(f"{self._path}: it was damaged: {record.damage}; set aside as {aside}")

    def _store(self, entries: list[Entry] | tuple[Entry, ...]) -> None:
        with file_errors(f"{self._path}: keeping the settings before us"):
            write_file(self._path, json.dumps(entries).encode())

    def _shrink(self, entries: list[Entry]) -> None:
        """On a full disk, in place: what a crash tears here is found to be damaged."""
        data = json.dumps(entries).encode()
        with file_errors(f"{self._path}: keeping the settings before us"):
            fd = open_file(self._path, os.O_WRONLY)
            with open(fd, "wb", buffering=0) as file:
                file.write(data)
                file.truncate()
                os.fsync(fd)


def _parsed(data: bytes) -> _Record:
    """Whatever of it can be believed."""
    if len(data) > _MOST_BYTES:
        return _Record(damage=f"it is larger than {_MOST_BYTES} bytes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        return _Record(damage=str(error))
    if not isinstance(found, list):
        return _Record(damage="expected a list")
    good: dict[tuple[str, str], Entry] = {}
    for item in found:
        if isinstance(item, list) and len(item) == 3 and all(isinstance(word, str) for word in item):
            kind, key, value = item
            if _is_ours(kind, key, value):
                good.setdefault((kind, key), (kind, key, value))
    bad = len(found) - len(good)
    damage = f"{bad} of its {len(found)} entries are none of the settings that we change" if bad else None
    return _Record(tuple(good.values()), damage)


def _is_ours(kind: str, key: str, value: str) -> bool:
    if kind == FORWARDING:
        return key in FORWARDING_OF.values() and SYSCTL.restores(key, value)
    if kind == CLSACT:
        return is_number(key, 1 << 31) and value == "none"
    return kind in KINDS and KINDS[kind].restores(key, value)
