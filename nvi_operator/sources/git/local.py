"""The repository around the current directory: what a directory of it holds at a revision, without a checkout.

Whoever wrote a revision may be a stranger, so it is read as a fetched one is: git only hands over contents of blobs,
and each name is looked at before it becomes a path.
"""

from __future__ import annotations

import os
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

from nvi_operator.errors import NviError, RefusedError, SourceError, printable
from nvi_operator.sources.git.checkouts import write_files
from nvi_operator.sources.git.command import Remote, command, environment, explained
from nvi_operator.sources.git.repository import Repository, read_blobs
from nvi_operator.sources.git.tree import spec_blobs

_NOWHERE = Remote("", "none")  # nothing is fetched: `protocol.allow` is never
# Whose the repository is does not matter: nothing that its configuration names is run by what is asked here.
# A directory that only looks like a repository, which a branch may contain, is none.
_SETTINGS = ("safe.directory=*", "safe.bareRepository=explicit")


class LocalRepository:
    """`prefix` is where the current directory is in it."""

    def __init__(self, git: Path, prefix: str) -> None:
        self._repository = Repository(git, Remote(str(git), "none"))
        self._prefix = prefix

    @classmethod
    def around(cls, directory: Path) -> LocalRepository:
        """Raises SourceError where there is none."""
        arguments = ("rev-parse", "--absolute-git-dir", "--show-prefix")
        try:
            done = subprocess.run(
                command(_NOWHERE, *arguments, more=_SETTINGS),
                cwd=directory,
                env=environment(_NOWHERE),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise NviError("git: not found", hint="apt-get install git") from error
        if done.returncode != 0:
            why, _ = explained(done.stderr)
            raise SourceError(
                f"git: {why}", hint="run the command in a repository, or name two directories: ./old ./new"
            )
        git, prefix, *_ = os.fsdecode(done.stdout).split("\n")
        return cls(Path(git), prefix.rstrip("/"))

    def tree(self, revision: str) -> RevisionTree:
        """The files at a branch, tag, commit or tree, as git understands its name. Raises SourceError."""
        tree = self._repository.find(f"{revision}^{{tree}}")
        if tree is None:
            shown = printable(revision)
            base, dots, head = shown.partition("...") if "..." in shown else shown.partition("..")
            head = head or "HEAD"
            if len(dots) == 3:  # since they parted, as git has it
                base = base and f"$(git merge-base {base} {head})"
            if os.path.isdir(revision):
                hint = f"for the directory write ./{shown}"
            elif dots and base:
                hint = f"write the two revisions: {base} {head}"
            else:
                hint = "a shallow clone may lack it: git fetch origin ..."
            raise SourceError(f"{shown}: not a revision of this repository", hint=hint)
        commit = self._repository.find(f"{revision}^{{commit}}") or tree
        return RevisionTree(self._repository, tree, commit[:12], _label(revision, commit), self._prefix)


def inner_path(pattern: str) -> str:
    """A pattern of directories in the current one, as short as it can be written. NviError for one that leads out."""
    path = os.path.normpath(pattern)
    if path.startswith(("/", "..")):
        raise NviError(
            f"{printable(pattern)}: leads out of the directory", hint="run the command in a directory further up"
        )
    return path


class RevisionTree:
    """The files of a repository at one revision. Paths are relative to the current directory, as in a shell."""

    def __init__(self, repository: Repository, tree: str, short: str, label: str, prefix: str) -> None:
        self.label = label
        self._short = short
        self._repository = repository
        self._tree = tree
        self._prefix = prefix

    def directories(self, pattern: str) -> list[str]:
        """The directories that match, one name of the path after the other; `.` is the current directory."""
        path = inner_path(pattern)
        wanted = self._within(path)
        if not wanted:
            return [path]
        parts = wanted.split("/")
        names = [name for name in self._repository.directories(self._tree) if _matches(name.split("/"), parts)]
        return sorted(os.path.relpath(name, self._prefix or ".") for name in names)

    def identity(self, directory: str) -> str:
        """Equal for directories with equal content."""
        return self._repository.find(f"{self._tree}:{self._within(directory)}") or ""

    def write(self, directory: str, root: Path) -> bool:
        """Write the spec's files below an empty directory. Returns whether there were any. Raises RefusedError."""
        path = self._within(directory)
        where = f"{self._short}:{path}" if path else self._short
        blobs = spec_blobs(self._repository.tree(self._tree, path), where)
        contents, links = read_blobs(self._repository, blobs, where)
        try:
            write_files(root, contents, links, sync=False)
        except OSError as error:  # a tree may hold `a` as a file and `a/b`
            raise RefusedError(f"{where}: refused: {error.strerror or error}") from error
        return bool(blobs)

    def prefix(self, directory: str) -> str:
        """What the names of its files begin with, as git has it."""
        path = self._within(directory)
        return f"{self._short}:{path}/" if path else f"{self._short}:"

    def _within(self, directory: str) -> str:
        path = os.path.normpath(os.path.join(self._prefix, directory))
        return "" if path == "." else path


def _label(revision: str, commit: str) -> str:
    """What the user wrote, with the commit that it names now."""
    return commit[:12] if commit.startswith(revision) else f"{revision} ({commit[:12]})"


def _matches(names: list[str], patterns: list[str]) -> bool:
    """Match as a shell does: hidden names match no pattern, and what a tree calls `..` is none of them."""
    if len(names) != len(patterns):
        return False
    return all(
        name == part or (fnmatchcase(name, part) and not name.startswith("."))
        for name, part in zip(names, patterns, strict=True)
    )
