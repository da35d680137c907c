"""What we changed of somebody else's, and what it was before: sysctls, and the groups of uplinks.

Kept in /run, one file per network namespace (by SO_NETNS_COOKIE, unique since boot): after a reboot both
the settings and the memory of them are gone together. Nothing else about us is kept outside the kernel.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from nvi_operator.errors import KernelError
from nvi_operator.kernel.errors import kernel_errors

RUN = Path("/run/nvi-operator")


class Lent:
    """A small persistent mapping; every change is on disk before the caller acts on it."""

    def __init__(self, cookie: int, directory: Path = RUN) -> None:
        self._path = directory / f"lent-{cookie}.json"

    def all(self, kind: str) -> dict[str, str]:
        """Key -> value before us, for objects of one kind."""
        return {key: value for owner, key, value in self._load() if owner == kind}

    def remember(self, kind: str, key: str, value: str) -> None:
        """Keep `value`, unless an earlier one is kept: the first is what was before us."""
        entries = self._load()
        if not any((owner, name) == (kind, key) for owner, name, _ in entries):
            self._store([*entries, (kind, key, value)])

    def forget(self, kind: str, key: str) -> None:
        self._store([entry for entry in self._load() if entry[:2] != (kind, key)])

    def _load(self) -> list[tuple[str, str, str]]:
        with kernel_errors(f"{self._path}: reading what was lent"):
            try:
                data = self._path.read_bytes()
            except FileNotFoundError:
                return []
        try:
            return [_entry(*words) for words in json.loads(data)]
        except (TypeError, ValueError) as error:
            raise KernelError(
                f"{self._path}: reading what was lent: it is damaged: {error}",
                hint="remove it: the original settings are then not restored, and stay as they are",
            ) from error

    def _store(self, entries: list[tuple[str, str, str]]) -> None:
        with kernel_errors(f"{self._path}: keeping what was lent"):
            if not entries:
                self._path.unlink(missing_ok=True)
                return
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            scratch = self._path.with_suffix(".new")
            with scratch.open("w", encoding="utf-8") as file:
                json.dump(entries, file)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self._path)


def _entry(owner: str, key: str, value: str) -> tuple[str, str, str]:
    """Raises TypeError or ValueError where it cannot be one that was kept here: it tells root what to write where."""
    parts = f"{key}".split("/")
    if not all(isinstance(word, str) for word in (owner, key, value)) or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"{[owner, key, value]} was not lent")
    if owner == "link-group":
        int(value)
    return owner, key, value
