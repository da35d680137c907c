"""Which files make up a spec, and their bytes. One rule for all of them: regular files inside one directory.

The operator reads as root and quotes what is wrong, so a symlink must not make it read (or wait for) anything else.
Symlinks inside the directory work, as Kubernetes' ConfigMaps need them, and so does a directory that is itself
reached through one, as with git-sync: it is resolved once, so one load never mixes two checkouts.

Nothing is omitted silently, because half a spec is another gateway. Every YAML file is a spec; a file of entries is
read only where a document names it (`forwardsFrom`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path as FilePath
from typing import NamedTuple

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.language.wording import LONGEST_NAME, short

SUFFIXES = (".yaml", ".yml")
ENTRY_SUFFIXES = (".csv", ".jsonl")

# What no spec needs by far: a million entries are 60 MB in one file.
MAX_FILES = 10_000
MAX_SCANNED = 100_000  # names of whatever kind, and directories among them
MAX_DEPTH = 32
MAX_FILE_BYTES = 128 << 20
MAX_BYTES = 256 << 20  # all files of one load

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

# The bytes of a file of entries, by the document's file and the name written there. Raises OSError.
ReadEntries = Callable[[str, str], bytes | str]

_Inode = tuple[int, int]


class OutsideError(OSError):
    """A symlink that leads out of the spec directory."""


class TooMuchError(OSError):
    """More than a spec can need."""


class SpecFiles:
    """The files of one spec directory, or one file with the entries beside it. Make one for each load.

    Files have the names by which the user knows them: below `root` as it was given.
    """

    def __init__(self, root: FilePath | str) -> None:
        self.root = FilePath(root)
        self.is_directory = os.path.isdir(root)
        self._given = self.root if self.is_directory else self.root.parent
        self._home = os.path.realpath(self._given)
        self._bytes_left = MAX_BYTES

    # ---------------------------------------------------------------- names

    def names(self, suffixes: tuple[str, ...] = SUFFIXES) -> tuple[list[str], list[OSError]]:
        """The files with these suffixes in the directory, sorted by path; and what could not be looked at.

        Names that begin with a dot (.git, ..data, .#gateway.yaml) are omitted, and so are what editors leave behind,
        which has other suffixes (.swp, ~). A directory that has several names is listed under one of them.
        """
        found: list[str] = []
        problems: list[OSError] = []
        try:
            for name in self._walk(suffixes, problems):
                found.append(str(name))
                if len(found) > MAX_FILES:
                    raise TooMuchError(errno.EMFILE, f"more than {MAX_FILES} files with specs", str(self._given))
        except TooMuchError as error:
            problems.append(error)
        return sorted(found, key=lambda name: FilePath(name).relative_to(self._given).as_posix()), problems

    def _walk(self, suffixes: tuple[str, ...], problems: list[OSError]) -> Iterator[FilePath]:
        """Real directories first, so that their files keep their own names. Raises TooMuchError."""
        seen: set[_Inode] = set()
        real, linked = [(self._given, 0)], list[tuple[FilePath, int]]()
        scanned = 0
        while real or linked:
            directory, depth = real.pop() if real else linked.pop(0)
            if depth > MAX_DEPTH:
                raise TooMuchError(errno.ELOOP, f"directories nested more than {MAX_DEPTH} deep", str(directory))
            try:
                entries = self._list(directory, seen)
            except OSError as error:
                problems.append(error)
                continue
            for entry in entries:
                scanned += 1
                if scanned > MAX_SCANNED:
                    message = f"more than {MAX_SCANNED} files and directories: is this the spec directory?"
                    raise TooMuchError(errno.EMFILE, message, str(self._given))
                path = directory / entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_directory:
                    (linked if entry.is_link else real).append((path, depth + 1))
                elif path.suffix in suffixes:
                    yield path  # a dangling symlink as well: reading it tells what is wrong

    def _list(self, directory: FilePath, seen: set[_Inode]) -> list[_Entry]:
        """What is in a directory, sorted; nothing if it was seen before. Raises OSError."""
        with self._opened(directory, stat.S_ISDIR, "not a directory") as descriptor:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in seen:
                return []
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(descriptor) as entries:
                bounded = islice(entries, MAX_SCANNED + 1)
                return sorted(_Entry(entry.name, _is_directory(entry), entry.is_symlink()) for entry in bounded)

    def facts(self, name: str) -> tuple[int, ...]:
        """What changes with a file's content. The ctime as well: `cp -p` and `rsync -t` write old mtimes."""
        try:
            status = os.stat(name) if self._is_named(name) else os.lstat(self._real(name))
            if stat.S_ISLNK(status.st_mode):
                status = os.lstat(self._resolved(name))
        except OSError as error:
            return (-1, error.errno or 0)
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    # ---------------------------------------------------------------- contents

    def read_specs(self) -> Mapping[str, bytes]:
        """The contents of every spec by name. Raises SpecError that names all files that cannot be read."""
        names, errors = self.names() if self.is_directory else ([str(self.root)], [])
        texts: dict[str, bytes] = {}
        for name in names:
            try:
                texts[name] = self.read(name)
            except OSError as error:
                errors.append(error)
                if isinstance(error, TooMuchError):
                    break
        if errors:
            raise SpecError(sorted(map(_unreadable, errors), key=lambda problem: problem.position))
        if not texts:
            message, hint = "no YAML files in this directory", "put the gateway's spec into a .yaml file here"
            raise SpecError([SpecProblem(Position(str(self.root), 1, 1), "", message, hint)])
        return texts

    def read_entries(self, document: str, name: str) -> bytes:
        """See `ReadEntries`."""
        return self.read(beside(document, name))

    def read(self, name: str) -> bytes:
        """The contents of one file. Raises OSError.

        The file that the user named may lie anywhere and be a pipe; one that was found may not: it would keep us
        waiting for ever, as would a device that has no end.
        """
        if self._is_named(name):
            mode = os.stat(name).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                raise OSError(errno.EINVAL, "not a regular file", name)
            with open(name, "rb") as named:
                return self._bounded(named.fileno(), name)
        with self._opened(FilePath(name), stat.S_ISREG, "not a regular file") as descriptor:
            return self._bounded(descriptor, name)

    def is_being_written(self, name: str) -> bool:
        """Does a process have the file open for writing?

        The kernel refuses a read lease for such a file (fcntl(2), F_SETLEASE). Where it refuses one for other reasons
        (some network filesystems; files of other users without CAP_LEASE) the answer is no. A process that opens the
        file in these microseconds waits for them, and SIGIO tells the caller.
        """
        try:
            if self._is_named(name):
                with _Descriptor(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as descriptor:
                    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            else:
                with self._opened(FilePath(name), stat.S_ISREG, "not a regular file") as descriptor:
                    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        return False

    def _bounded(self, descriptor: int, name: str) -> bytes:
        most = min(MAX_FILE_BYTES, self._bytes_left)
        size = min(os.fstat(descriptor).st_size, most)
        with open(descriptor, "rb", closefd=False) as file:
            # As much as it is said to have first: asking for the most takes new memory each time, ten times as long.
            data = file.read(size + 1)
            if len(data) > size:
                data += file.read(most - size)
        if len(data) > most:
            what = "this file" if most == MAX_FILE_BYTES else "the spec up to this file"
            limit = MAX_FILE_BYTES if most == MAX_FILE_BYTES else MAX_BYTES
            raise TooMuchError(errno.EFBIG, f"{what} has more than {limit >> 20} MiB", name)
        self._bytes_left -= len(data)
        return data

    # ---------------------------------------------------------------- inside

    def _is_named(self, name: str) -> bool:
        return not self.is_directory and name == str(self.root)

    def _real(self, name: FilePath | str) -> str:
        """The file by the directory's own path."""
        return os.path.join(self._home, FilePath(name).relative_to(self._given))

    def _resolved(self, name: FilePath | str) -> str:
        """Where a file really is. Raises OSError; OutsideError if that is not inside, whether it exists or not."""
        self._inside(os.path.realpath(self._real(name)), str(name))
        return self._inside(os.path.realpath(self._real(name), strict=True), str(name))

    def _inside(self, found: str, name: str) -> str:
        if os.path.commonpath((self._home, found)) != self._home:
            raise OutsideError(errno.EPERM, "a symlink leads out of the spec directory", name)
        return found

    def _opened(self, name: FilePath, is_right: Callable[[int], bool], otherwise: str) -> _Descriptor:
        """Opens a file of the right kind, wherever symlinks lead inside. Raises OSError with the name as given."""
        try:
            found = self._resolved(name)
            # Looked at before it is opened as well: to open a device may do something.
            if not is_right(os.lstat(found).st_mode):
                raise OSError(errno.EINVAL, otherwise)
            descriptor = _Descriptor(os.open(found, _FLAGS))
            try:
                # A directory on the way may have become a symlink since.
                self._inside(os.readlink(f"/proc/self/fd/{descriptor.number}"), str(name))
                if not is_right(os.fstat(descriptor.number).st_mode):
                    raise OSError(errno.EINVAL, otherwise)
            except BaseException:
                descriptor.close()
                raise
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(name)) from error
        return descriptor


class _Entry(NamedTuple):
    name: str
    is_directory: bool
    is_link: bool


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symlink that leads in a circle, or where this user may not look: reading it tells so
        return False


class _Descriptor:
    """A file descriptor that is closed at the end of its block."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.number)


# --------------------------------------------------------------------------- entries beside the YAML


def beside(document: str, name: str) -> str:
    """The path of the file of entries that `document` calls `name`."""
    return os.path.join(os.path.dirname(document), name)


def entries_among(texts: Mapping[str, bytes | str]) -> ReadEntries:
    """Reads from texts that are at hand, by path."""

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
        TooMuchError: "split the list over several gateways",
    }
    return f"{short(name, LONGEST_NAME)} cannot be read: {error.strerror or error}", hints.get(
        type(error), "name a .csv or .jsonl file"
    )


def _unreadable(error: OSError) -> SpecProblem:
    hints = {
        FileNotFoundError: "name a directory or a file that exists; a symlink may lead nowhere",
        PermissionError: "let the user that runs this read it",
        OutsideError: "put what it leads to into the spec directory, or remove the link",
        TooMuchError: "name the directory that holds the specs, and nothing but them",
    }
    hint = hints.get(type(error), "name a directory or a file with YAML specs")
    return SpecProblem(Position(str(error.filename), 1, 1), "", f"cannot be read: {error.strerror or error}", hint)
