"""Which files of a directory are specs, and their bytes. Nothing is left out in silence: what cannot be read is
an error, because half a spec is another gateway.

Every YAML file is a spec; a file of entries is read only where a document names it (`forwardsFrom`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path as FilePath

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.spec.words import LONGEST_NAME, short

SUFFIXES = (".yaml", ".yml")
ENTRY_SUFFIXES = (".csv", ".jsonl")

# The bytes of a file of entries, by the document's file and the name that stands there. Raises OSError.
ReadEntries = Callable[[str, str], bytes | str]


def spec_files(root: FilePath, suffixes: tuple[str, ...] = SUFFIXES) -> list[FilePath]:
    """The YAML files below `root`, by relative path.

    Symlinks are followed, as git-sync and Kubernetes' ConfigMaps need it. Names that begin with a dot (.git,
    ..data, .#gateway.yaml) are left out, and so are editors' leavings, which have other suffixes (.swp, ~).
    Raises OSError.
    """
    return sorted(_walk(root, (), suffixes), key=lambda file: file.relative_to(root).as_posix())


def _walk(directory: FilePath, above: tuple[tuple[int, int], ...], suffixes: tuple[str, ...]) -> Iterator[FilePath]:
    status = directory.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:  # a symlink to a parent: everything in it is read already
        return
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = directory / entry.name
            if entry.is_dir():
                yield from _walk(path, (*above, here), suffixes)
            elif path.suffix in suffixes:
                yield path  # a dangling symlink, too: reading it says what is wrong


def read(path: FilePath) -> Mapping[str, bytes]:
    """The contents of the specs in a directory, or of one file, by name. Raises SpecError."""
    try:
        found = os.path.isdir(path)
        files = spec_files(path) if found else [path]
    except OSError as error:
        raise SpecError([_unreadable(str(error.filename or path), error)]) from error
    if not files:
        raise SpecError(
            [
                SpecProblem(
                    Position(str(path), 1, 1),
                    "",
                    "no YAML files in this directory",
                    "put the gateway's spec into a .yaml file here",
                )
            ]
        )
    return read_files(files, named=not found)


def read_files(files: Iterable[FilePath], *, named: bool = True) -> Mapping[str, bytes]:
    """The contents by name. Raises SpecError that names every file that cannot be read.

    One that somebody `named` may be a pipe; one that was found in a directory would keep us waiting for ever, and
    so does a device that has no end.
    """
    texts: dict[str, bytes] = {}
    problems: list[SpecProblem] = []
    for file in files:
        try:
            if file.exists() and not (file.is_file() or (named and file.is_fifo())):
                raise OSError(errno.EINVAL, "not a regular file", str(file))
            texts[str(file)] = file.read_bytes()
        except OSError as error:
            problems.append(_unreadable(str(file), error))
    if problems:
        raise SpecError(problems)
    return texts


# --------------------------------------------------------------------------- entries beside the YAML


class OutsideError(OSError):
    """A symlink that leads out of the spec directory."""


def beside(document: str, name: str) -> str:
    """The path of the file of entries that `document` calls `name`."""
    return os.path.join(os.path.dirname(document), name)


def entry_reader(root: FilePath | None = None) -> ReadEntries:
    """Reads regular files below `root` (or below the document's own directory), wherever symlinks lead within it.

    The operator reads specs as root and tells what is wrong in them: a link must not make it tell of other files.
    """

    def read_entries(document: str, name: str) -> bytes:
        path = beside(document, name)
        found = os.path.realpath(path, strict=True)
        homes = [os.path.realpath(home) for home in (os.path.dirname(document), root) if home is not None]
        if not any(os.path.commonpath((home, found)) == home for home in homes):
            raise OutsideError(errno.EPERM, "a symlink leads out of the spec directory", path)
        if not os.path.isfile(found):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return FilePath(found).read_bytes()

    return read_entries


def entries_among(texts: Mapping[str, bytes | str]) -> ReadEntries:
    """The same for texts that are at hand, by path."""

    def read_entries(document: str, name: str) -> bytes | str:
        path = beside(document, name)
        if path not in texts:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return texts[path]

    return read_entries


def entries_unreadable(document: str, name: str, error: OSError) -> tuple[str, str]:
    """What is wrong, and what to do."""
    hints = {
        FileNotFoundError: f"it is looked for at {beside(document, name)}",
        PermissionError: "let the user that runs this read it",
        OutsideError: "put the file itself beside the document",
    }
    return f"{short(name, LONGEST_NAME)} cannot be read: {error.strerror or error}", hints.get(
        type(error), "name a .csv or .jsonl file"
    )


def _unreadable(name: str, error: OSError) -> SpecProblem:
    hints = {
        FileNotFoundError: "name a directory or a file that exists; a symlink may lead nowhere",
        PermissionError: "let the user that runs this read it",
    }
    hint = hints.get(type(error), "name a directory or a file with YAML specs")
    return SpecProblem(Position(name, 1, 1), "", f"cannot be read: {error.strerror or error}", hint)
