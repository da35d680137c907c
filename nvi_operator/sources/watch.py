"""Notices that the spec directory changed, in whatever way, and calls the loop. Does not say what changed.

inotify knows inodes, a spec directory is a path: the directory, one above it, or a symlink on the way to it may be
replaced (git-sync, a Kubernetes ConfigMap). So the directory is watched with everything in it, and for each step of
the way there, symlinks included, the directory that holds its name. `arm` looks that way up again; the loop calls it
before each reconcile, so that a change is either still seen by the reconcile or reported afterwards. What inotify
cannot report (a full queue, network filesystems, mounts) the loop finds by its timer.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyObserver

from nvi_operator.errors import KernelError
from nvi_operator.language.load.files import ENTRY_SUFFIXES, SUFFIXES
from nvi_operator.sources.symlinks import Lookups

# watchdog 7 may register a new subdirectory twice, notices, and warns; both ways it is watched.
warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning, r"watchdog\.")

_NAMES: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
_CONTENTS: list[type[FileSystemEvent]] = [*_NAMES, FileModifiedEvent, FileClosedEvent]

_TEMPORARY = ("*.swp", "*.swx", "*.swo", "*~", ".#*", "#*#", "4913")
_TRIES = 10

_Watches = dict[str, tuple[object, ...]]  # directories, with what tells one from another under the same name


class DirectoryWatch:
    """Calls `changed` from its own thread. Nothing is noticed before the first `arm`."""

    def __init__(self, root: Path, changed: Callable[[], None]) -> None:
        self._root = os.path.abspath(root)
        self._changed = changed
        self._observer: BaseObserver | None = None
        self._armed: _Watches = {}
        self._names: dict[str, set[str]] = {}
        self._trees: tuple[str, ...] = ()
        self._stale = True  # set by the observer's thread

    def __enter__(self) -> DirectoryWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """`changed` is not called after this."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def arm(self) -> None:
        """Watch the directories that matter now. Cheap when they did not change.

        Calls `changed` if a change may be unreported: setting up new watches drops pending reports.
        Raises KernelError if not all of it can be watched.
        """
        dropped = False
        try:
            if self._observer is None:
                self._observer = InotifyObserver()
                self._observer.start()
            for _ in range(_TRIES):
                lookups, trees = self._survey()
                to_watch = _to_watch(lookups, trees)
                if to_watch == self._armed and not self._stale:
                    break
                dropped |= bool(self._armed) and not self._stale
                self._schedule(self._observer, lookups, trees, to_watch)
        except OSError as error:
            self._stale = True
            raise KernelError(
                f"directory {self._root}: cannot watch it: {error.strerror or error}",
                hint="raise fs.inotify.max_user_watches and fs.inotify.max_user_instances; until then "
                "changes are found by the timer",
            ) from error
        if dropped:
            self._changed()

    # ---------------------------------------------------------------- helpers

    def _survey(self) -> tuple[Lookups, tuple[str, ...]]:
        """The way to the root and to whatever the symlinks in it lead to; the directory to watch whole, if any.

        What lies outside is no part of a spec (language/load/files.py): only the way there is watched.
        """
        lookups = Lookups()
        home = lookups.follow(self._root)
        if not os.path.isdir(home):
            return lookups, ()
        todo, seen = [home], {home}
        while todo:
            for link in _links(todo.pop()):
                end = lookups.follow(link)
                # Inside, only directories with hidden names, as `.worktrees`, were not walked yet.
                if end not in seen and _is_in(end, (home,)) and "/." in end[len(home) :] and os.path.isdir(end):
                    seen.add(end)
                    todo.append(end)
        return lookups, (home,)

    def _schedule(
        self,
        observer: BaseObserver,
        lookups: Lookups,
        trees: tuple[str, ...],
        to_watch: dict[str, tuple[object, ...]],
    ) -> None:
        observer.unschedule_all()
        self._armed, self._stale = {}, False
        self._names, self._trees = lookups.names, trees
        handler = _Handler(self._seen)
        for folder, (*_, contents) in to_watch.items():
            filter_ = _CONTENTS if contents else _NAMES
            try:
                observer.schedule(handler, folder, recursive=folder in trees, event_filter=filter_)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                self._stale = True  # it disappeared meanwhile: look again
                return
        self._armed = to_watch

    def _seen(self, path: str, new_directory: bool) -> None:
        """Runs in the observer's thread: something happened to `path`."""
        folder, name = os.path.split(path)
        if name in self._names.get(folder, ()):
            self._stale = True  # a step of the way
        elif not any(_is_change(path, tree) for tree in self._trees) and not self._is_beside(folder, name):
            return
        elif new_directory:
            self._stale = True  # before version 7, watchdog does not watch one that is moved in
        self._changed()

    def _is_beside(self, folder: str, name: str) -> bool:
        """Is it a file of entries in the directory of a spec that is one file?"""
        return name.endswith(ENTRY_SUFFIXES) and folder in self._names and not self._trees


class _Handler(FileSystemEventHandler):
    def __init__(self, seen: Callable[[str, bool], None]) -> None:
        self._seen = seen

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._seen(os.fsdecode(path), isinstance(event, DirCreatedEvent | DirMovedEvent))


def _to_watch(lookups: Lookups, trees: tuple[str, ...]) -> _Watches:
    """The directories to watch, with what makes them another one, and whether contents of files matter."""
    to_watch: _Watches = {}
    for folder in dict.fromkeys([*lookups.names, *trees]):
        if _is_in(folder, trees):
            continue
        contents = folder in trees or any(
            os.path.isfile(os.path.join(folder, name)) for name in lookups.names.get(folder, ())
        )
        try:
            stat = os.stat(folder)
        except OSError:
            continue  # it disappeared meanwhile: the folder above reports it
        to_watch[folder] = (stat.st_dev, stat.st_ino, contents)
    return to_watch


def _links(tree: str) -> Iterator[str]:
    """The symlinks in `tree` that lead to specs, dangling ones included: what they point at may appear."""
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*folders, *(file for file in files if file.endswith((*SUFFIXES, *ENTRY_SUFFIXES)))):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                yield path


def _is_in(path: str, trees: Iterable[str]) -> bool:
    return any(path != tree and path.startswith(f"{tree.rstrip('/')}/") for tree in trees)


def _is_change(path: str, tree: str) -> bool:
    """Is it in the tree, and neither a file of git nor a temporary one of an editor?"""
    if not _is_in(path, (tree,)):
        return False
    parts = path[len(tree) :].split("/")
    return ".git" not in parts and not any(fnmatch.fnmatchcase(parts[-1], pattern) for pattern in _TEMPORARY)
