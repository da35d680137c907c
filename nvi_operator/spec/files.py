"""Which files of a directory are specs, and their bytes. Nothing is left out in silence: what cannot be read is
an error, because half a spec is another gateway.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath

from nvi_operator.errors import Position, SpecError, SpecProblem

SUFFIXES = (".yaml", ".yml")


def spec_files(root: FilePath) -> list[FilePath]:
    """The YAML files below `root`, by relative path.

    Symlinks are followed, as git-sync and Kubernetes' ConfigMaps need it. Names that begin with a dot (.git,
    ..data, .#gateway.yaml) are left out, and so are editors' leavings, which have other suffixes (.swp, ~).
    Raises OSError.
    """
    return sorted(_walk(root, ()), key=lambda file: file.relative_to(root).as_posix())


def _walk(directory: FilePath, above: tuple[tuple[int, int], ...]) -> Iterator[FilePath]:
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
                yield from _walk(path, (*above, here))
            elif path.suffix in SUFFIXES:
                yield path  # a dangling symlink, too: reading it says what is wrong


def read(path: FilePath) -> Mapping[str, bytes]:
    """The contents of the specs in a directory, or of one file, by name. Raises SpecError."""
    try:
        files = spec_files(path) if path.is_dir() else [path]
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
    return read_files(files)


def read_files(files: Iterable[FilePath]) -> Mapping[str, bytes]:
    """The contents by name. Raises SpecError that names every file that cannot be read."""
    texts: dict[str, bytes] = {}
    problems: list[SpecProblem] = []
    for file in files:
        try:
            texts[str(file)] = file.read_bytes()
        except OSError as error:
            problems.append(_unreadable(str(file), error))
    if problems:
        raise SpecError(problems)
    return texts


def _unreadable(name: str, error: OSError) -> SpecProblem:
    hints = {
        FileNotFoundError: "name a directory or a file that exists; a symlink may lead nowhere",
        PermissionError: "let the user that runs this read it",
    }
    hint = hints.get(type(error), "name a directory or a file with YAML specs")
    return SpecProblem(Position(name, 1, 1), "", f"cannot be read: {error.strerror or error}", hint)
