"""Saved settings: the earlier values of what an apply changed and does not own (sysctls, link groups of uplinks).

One file in /run for each network namespace (by SO_NETNS_COOKIE, unique since boot): a reboot clears both the settings
and the record of them. Written under the gateway's lock, before the setting is changed.

Root writes back what the file says, so only settings that the operator may change are accepted from it. A damaged
file is renamed. The file also records whether the host forwarded before the first apply: where forwarding is on and
its own entry is lost, this is the value to restore; without it, forwarding is switched off.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import ConflictError, KernelError
from nvi_operator.kinds import KINDS
from nvi_operator.kinds.sysctl import FORWARDING as FORWARDING_OF
from nvi_operator.kinds.sysctl import SYSCTL
from nvi_operator.state.restorable import is_number
from nvi_operator.store.directory import RUN, file_errors, open_file, read_file, sweep, write_file

CLSACT = "clsact"  # the number of an interface that had no such qdisc, and "none"
FORWARDING = "forwarding"  # its value before the first step of the first apply
_MOST_BYTES = 1 << 22  # ten thousand interfaces fit in
_NOT_A_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EIO)

SavedSetting = tuple[str, str, str]  # kind, key, earlier value


@dataclass(frozen=True)
class _Record:
    """Contents of the file. `damage`: what in it is invalid; None for a missing file or a good one."""

    entries: tuple[SavedSetting, ...] = ()
    damage: str | None = None


class SavedSettings:
    """A small persistent mapping; every change is in the file before the caller acts on it.

    `warnings` lists what was found to be wrong.
    """

    def __init__(self, cookie: int, directory: Path = RUN) -> None:
        self._path = directory / f"settings-{cookie}.json"
        self.warnings: tuple[str, ...] = ()

    def all(self, kind: str) -> dict[str, str]:
        """Key -> earlier value, for objects of one kind."""
        return {key: value for owner, key, value in self._load().entries if owner == kind}

    @property
    def incomplete(self) -> bool:
        """Is it missing or damaged? If a gateway stands, this means that saved settings were lost."""
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
        """Call before the first step of an apply. `forwarding`: current values; `stands`: a gateway exists already.

        `defaults` gives, for each changed setting, the value to restore where none is recorded. Raises KernelError
        if the file cannot be written and `needed`: a `down` needs no record.
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
        if lost:
            names = ", ".join(f"{key} = {value}" for _, key, value in lost)
            self.warn(f"{self._path}: earlier values are not recorded; `down` sets: {names}")
        try:
            self._set_aside(record)
            if tuple(kept) != record.entries or record.damage:
                sweep(self._path)
                self._store(kept)
        except KernelError:
            if needed:
                raise

    def save(self, kind: str, key: str, value: str) -> None:
        """Record `value`, unless one is recorded already: only the first was set before the gateway."""
        if not _is_restorable(kind, key, value):
            raise KernelError(f"{kind} {key}: not a setting that nvictl changes")
        entries = self._load().entries
        if not any((owner, name) == (kind, key) for owner, name, _ in entries):
            self._store([*entries, (kind, key, value)])

    def discard(self, kind: str, key: str) -> None:
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
        """The gateway is removed: delete the file if no entry is left."""
        if all(kind == FORWARDING for kind, _, _ in self._load().entries):
            with file_errors(f"{self._path}: removing"):
                self._path.unlink(missing_ok=True)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings += (text,)

    # ---------------------------------------------------------------- the file

    def _load(self) -> _Record:
        try:
            record = _parsed(read_file(self._path, _MOST_BYTES + 1))
        except FileNotFoundError:
            return _Record()
        except ConflictError as error:
            record = _Record(damage=error.message)
        except OSError as error:
            if error.errno not in _NOT_A_FILE:
                with file_errors(f"{self._path}: reading saved settings"):
                    raise
            record = _Record(damage=error.strerror or str(error))
        if record.damage:
            self.warn(f"{self._path}: damaged: {record.damage}; the next change renames it")
        return record

    def _set_aside(self, record: _Record) -> None:
        if record.damage is None:
            return
        aside = self._path.with_suffix(".damaged")
        with file_errors(f"{self._path}: renaming the damaged file"):
            self._path.replace(aside)
        self.warnings = tuple(text for text in self.warnings if "the next change renames it" not in text)
        self.warn(f"{self._path}: was damaged: {record.damage}; renamed to {aside}")

    def _store(self, entries: list[SavedSetting] | tuple[SavedSetting, ...]) -> None:
        with file_errors(f"{self._path}: saving settings"):
            write_file(self._path, json.dumps(entries).encode(), lasting=False)

    def _shrink(self, entries: list[SavedSetting]) -> None:
        """On a full disk, writes in place: a file torn by a crash is recognised as damaged."""
        data = json.dumps(entries).encode()
        with file_errors(f"{self._path}: saving settings"):
            fd = open_file(self._path, os.O_WRONLY)
            with open(fd, "wb", buffering=0) as file:
                file.write(data)
                file.truncate()


def _parsed(data: bytes) -> _Record:
    """The valid entries, and what is wrong with the rest."""
    if len(data) > _MOST_BYTES:
        return _Record(damage=f"it is larger than {_MOST_BYTES} bytes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        return _Record(damage=str(error))
    if not isinstance(found, list):
        return _Record(damage="expected a list")
    good: dict[tuple[str, str], SavedSetting] = {}
    for item in found:
        if isinstance(item, list) and len(item) == 3 and all(isinstance(word, str) for word in item):
            kind, key, value = item
            if _is_restorable(kind, key, value):
                good.setdefault((kind, key), (kind, key, value))
    bad = len(found) - len(good)
    damage = f"{bad} of {len(found)} entries are not settings that nvictl changes" if bad else None
    return _Record(tuple(good.values()), damage)


def _is_restorable(kind: str, key: str, value: str) -> bool:
    if kind == FORWARDING:
        return key in FORWARDING_OF.values() and SYSCTL.restores(key, value)
    if kind == CLSACT:
        return is_number(key, 1 << 31) and value == "none"
    return kind in KINDS and KINDS[kind].restores(key, value)
