"""The directory of a git source: the repository, and the trees that were written from it.

    repository.git/             objects; a cache that can be fetched again
    trees/COMMIT-NUMBER/        one commit's files (`spec/`) and where they come from (`origin.json`)
    current -> trees/...        the one to follow

A tree has its name only once it is whole and on the disk, and `current` is replaced by a rename: whatever is cut off
at whatever moment, `current` leads to a whole tree, or is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import SourceError
from nvi_operator.sources.git.refs import TESTING
from nvi_operator.store.directory import open_directory

_KEPT = 2  # trees


@dataclass(frozen=True)
class Checkout:
    """A commit as it was fetched: what stands in `origin.json`. `seen`: by ref, what was accepted of it last."""

    commit: str
    ref: str
    remote: str
    path: str = ""
    author: str = ""
    signer: str = ""
    subject: str = ""
    testing: str = ""  # what the testing branch had when it was looked at last, followed or not
    seen: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # by path, the object with the content

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(data: Mapping[str, Any]) -> Checkout:
        """Raises ValueError, TypeError or KeyError where it is damaged."""
        return Checkout(**{name: data[name] for name in Checkout.__dataclass_fields__ if name in data})

    @property
    def is_testing(self) -> bool:
        return self.ref.startswith(TESTING)


class Checkouts:
    """One source's directory. Made if it is missing; raises SourceError or NviError where it cannot be used."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repository = directory / "repository.git"
        self.current = directory / "current"
        self.spec = self.current / "spec"
        self._trees = directory / "trees"

    def prepare(self) -> str:
        """Make the directory. Returns what was set aside because it is damaged, for the log."""
        for path in (self.directory, self._trees):
            os.close(open_directory(path))
        if not os.path.lexists(self.current):
            return ""
        try:
            self._check(self.found())
        except (OSError, ValueError, TypeError, KeyError, SourceError) as error:
            aside = self.directory / "damaged"  # one of them, the last
            os.rename(self.current, aside)
            return f"{self.current}: damaged ({error}): set aside as {aside.name}; fetched again"
        return ""

    def found(self) -> Checkout:
        """What `current` leads to. Raises OSError where there is none."""
        data = json.loads((self.current / "origin.json").read_bytes())
        return Checkout.of(data)

    def checkout(self) -> Checkout | None:
        """What `current` leads to; None where there is none."""
        try:
            return self.found()
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _check(self, checkout: Checkout) -> None:
        """Is every file what the commit says? A disk may lose what it acknowledged."""
        for name, identity in checkout.files.items():
            path = self.spec / name
            content = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
            if blob_id(content, len(identity)) != identity:
                raise SourceError(f"{name} is not as it was written")

    def write(self, checkout: Checkout, contents: Iterable[tuple[str, bytes]], links: Mapping[str, str]) -> Path:
        """A whole tree, on the disk; its directory. Raises OSError."""
        name = f"{checkout.commit[:12]}-{secrets.token_hex(4)}"
        scratch, place = self._trees / f".{name}", self._trees / name
        made = {scratch / "spec"}
        try:
            (scratch / "spec").mkdir(parents=True)
            made |= write_files(scratch / "spec", contents, links, sync=True)
            _write(scratch / "origin.json", json.dumps(checkout.json()).encode(), sync=True)
            for directory in (*made, scratch):
                _sync(directory)
            os.rename(scratch, place)
            _sync(self._trees)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return place

    def publish(self, tree: Path) -> None:
        """Make this tree the current one. Raises OSError."""
        scratch = self.directory / f".current-{secrets.token_hex(4)}"
        os.symlink(tree.relative_to(self.directory), scratch)
        try:
            os.rename(scratch, self.current)
        except BaseException:
            with suppress(OSError):
                scratch.unlink()
            raise
        _sync(self.directory)
        self.sweep()

    def sweep(self) -> None:
        """Remove trees that nothing follows, and what a killed process left. Only while no worker runs."""
        with suppress(OSError):
            links = [self.current, self.directory / "damaged"]
            followed = {os.path.basename(os.readlink(link)) for link in links if link.is_symlink()}
            trees = sorted(self._trees.iterdir(), key=lambda tree: tree.lstat().st_mtime_ns, reverse=True)
            kept = [tree.name for tree in trees if not tree.name.startswith(".")][:_KEPT]
            for tree in trees:
                if tree.name not in (*followed, *kept):
                    shutil.rmtree(tree, ignore_errors=True)
            for left in self.directory.glob(".current-*"):
                left.unlink()


def write_files(
    root: Path, contents: Iterable[tuple[str, bytes]], links: Mapping[str, str], *, sync: bool
) -> set[Path]:
    """Files and symlinks below an empty directory, by paths that were checked. Returns the directories with files.

    Raises OSError.
    """
    made = set()
    for path, content in contents:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        made.add(file.parent)
        _write(file, content, sync=sync)
    for path, target in links.items():  # last: nothing is ever written through one
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        made.add(file.parent)
        os.symlink(target, file)
    return made


def blob_id(content: bytes, digits: int) -> str:
    """The name that git gives to a content, with SHA-1 or SHA-256 (gitformat-pack(5))."""
    made = hashlib.sha1(usedforsecurity=False) if digits == 40 else hashlib.sha256()
    made.update(b"blob %d\0" % len(content) + content)
    return made.hexdigest()


def _write(path: Path, content: bytes, *, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        if sync:
            os.fsync(fd)


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
