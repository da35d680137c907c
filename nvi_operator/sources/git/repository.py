"""The bare repository of a git source: fetch into it, ask it. Only in the worker: each call waits for git."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from nvi_operator.errors import RefusedError, SourceError
from nvi_operator.sources.git.command import Remote, command, environment, explained
from nvi_operator.sources.git.refs import is_object_name
from nvi_operator.sources.git.tree import SUBMODULE, Blob, check_content, check_link
from nvi_operator.sources.git.verify import Signatures, check_files, make_home, plain_text, settings, signer

_LOCKS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/*/tmp_*")  # what a killed git leaves
_PR_SET_PDEATHSIG = 1  # prctl(2)
_MOST_PACKS = 24  # each fetch adds one
_FETCHED = "refs/nvi/fetched"
_ACCEPTED = "refs/nvi/accepted"


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Repository:
    """Raises SourceError where git fails, with its words."""

    def __init__(self, path: Path, remote: Remote) -> None:
        self._path = path
        self._remote = remote

    def prepare(self, object_format: str = "sha1") -> str:
        """Make it if it is missing. One that is damaged, or has objects of another format than the remote, is set
        aside: returns what to tell of it.
        """
        told = ""
        if self._path.exists() and (why := self._why_not(object_format)):
            aside = self._path.with_name("damaged.git")  # one of them, the last
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(self._path, aside)
            told = f"{self._path}: {why}: set aside as {aside.name}; fetched again"
        if not self._path.exists():
            options = ("-q", "--bare", "--template=", f"--object-format={object_format}")
            self._ask("init", *options, "--", str(self._path), place=False)
        for left in (path for pattern in _LOCKS for path in self._path.glob(pattern)):
            left.unlink(missing_ok=True)  # no other git is at work here: the worker holds the lock
        return told

    def _why_not(self, object_format: str) -> str:
        done = self._run("rev-parse", "--show-object-format")
        if done.returncode != 0:
            return "damaged"
        found = done.stdout.decode().strip()
        return "" if found == object_format else f"its objects are of {found}, and the remote's of {object_format}"

    def has(self, commit: str) -> bool:
        return self._run("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def find(self, name: str) -> str | None:
        """The object that git understands by a name, which may be anything that a user wrote."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        found = done.stdout.decode(errors="replace").strip()
        return found if done.returncode == 0 and is_object_name(found) else None

    def directories(self, tree: str) -> list[str]:
        """The paths of all in a tree."""
        names = self._ask("ls-tree", "-d", "-r", "-z", "--name-only", "--full-tree", tree).split(b"\0")
        return [os.fsdecode(name) for name in names if name]

    def fetch(self, ref: str, *, shallow: bool) -> str:
        """What a ref of the remote leads to, with its objects; `shallow`: without its history."""
        depth = ("--depth=1",) if shallow else ()
        options = ("--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules", "-q")
        self._ask("fetch", *options, *depth, "--", self._remote.url, f"+{ref}:{_FETCHED}")
        return self._ask("rev-parse", "--verify", _FETCHED).decode().strip()

    def commit_of(self, identity: str) -> str:
        """The commit that an object is, or that a tag names."""
        try:
            return self._ask("rev-parse", "--verify", f"{identity}^{{commit}}").decode().strip()
        except SourceError as error:
            raise RefusedError(f"{self._remote.url}: {identity[:12]} is not a commit") from error

    def descends(self, commit: str, ancestor: str) -> bool:
        done = self._run("merge-base", "--is-ancestor", ancestor, commit)
        if done.returncode not in (0, 1):
            raise self._failed("merge-base", done.stderr)
        return done.returncode == 0

    def describe(self, commit: str) -> tuple[str, str]:
        """Author and subject."""
        raw = self._ask("log", "-1", "--format=%an <%ae>%x00%s", commit).decode(errors="replace")
        author, _, subject = raw.rstrip("\n").partition("\0")
        return plain_text(author), plain_text(subject)

    def tree(self, commit: str, path: str) -> bytes:
        """What `git ls-tree -r -z -l` prints of a directory in a commit."""
        where = f"{commit}:{path}"
        kind = self._run("cat-file", "-t", where).stdout.decode().strip()
        if kind != "tree":
            if path and self._ask("ls-tree", "-z", "--full-tree", commit, path).startswith(SUBMODULE.encode()):
                raise RefusedError(
                    f"{commit[:12]}: {path} is a submodule: these are not fetched",
                    hint="put the files into this repository",
                )
            there = self._top(commit)
            what = "it is a file: name its directory" if kind == "blob" else f"there are: {there}"
            raise RefusedError(f"{commit[:12]}: no directory {path or '/'!r} in this commit", hint=what)
        return self._ask("ls-tree", "-r", "-z", "-l", "--full-tree", where)

    def _top(self, commit: str) -> str:
        names = self._ask("ls-tree", "-d", "--name-only", "-z", commit).decode(errors="replace").split("\0")
        return ", ".join(plain_text(name) for name in names[:8] if name) or "no directories"

    def contents(self, blobs: Sequence[Blob]) -> Iterator[bytes]:
        """The content of each, as it is in the repository: without filters, line endings and attributes."""
        if not blobs:
            return
        with subprocess.Popen(
            command(self._remote, "cat-file", "--batch", repository=self._path),
            env=environment(self._remote),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=end_with_parent,
        ) as git:
            assert git.stdin is not None
            assert git.stdout is not None
            for blob in blobs:
                git.stdin.write(f"{blob.object}\n".encode())
                git.stdin.flush()
                head = git.stdout.readline().decode().split()
                if head != [blob.object, "blob", str(blob.size)]:
                    raise SourceError(f"{self._path}: {blob.path}: the repository has lost it")
                content = git.stdout.read(blob.size + 1)[:-1]
                if len(content) != blob.size:
                    raise SourceError(f"{self._path}: {blob.path}: the repository has lost a part of it")
                yield content

    def verify(self, identity: str, name: str, signatures: Signatures, home: Path) -> str:
        """Whose signature a commit or tag has; `name` is the ref's. Raises RefusedError where git refuses it."""
        is_tag = self._ask("cat-file", "-t", identity) == b"tag\n"
        what = f"{'tag' if is_tag else 'commit'} {name if is_tag else identity[:12]}"
        if is_tag:
            head = self._ask("cat-file", "tag", identity).partition(b"\n\n")[0].splitlines()
            if f"tag {name}".encode() not in head:  # a signed tag under another name is another promise
                raise RefusedError(f"{what}: refused: it was signed under another name")
        check_files(signatures)
        make_home(signatures, home)
        arguments = ("verify-tag" if is_tag else "verify-commit", "--raw", identity)
        done = subprocess.run(
            command(self._remote, *arguments, repository=self._path, more=settings(signatures)),
            env=environment(self._remote, GNUPGHOME=str(home)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            preexec_fn=end_with_parent,
        )
        return signer(what, done.returncode, (done.stdout + done.stderr).decode(errors="replace"))

    def accept(self, identity: str) -> None:
        """Keep its objects, and forget what was fetched before it."""
        self._ask("update-ref", _ACCEPTED, identity)
        packs = self._path / "objects" / "pack"
        if len(list(packs.glob("*.pack"))) > _MOST_PACKS:
            with suppress(SourceError):  # it is only for the space
                self._ask("repack", "-a", "-d", "-q")

    def _run(self, *arguments: str, place: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command(self._remote, *arguments, repository=self._path if place else None),
            env=environment(self._remote),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            preexec_fn=end_with_parent,
        )

    def _ask(self, *arguments: str, place: bool = True) -> bytes:
        done = self._run(*arguments, place=place)
        if done.returncode != 0:
            raise self._failed(arguments[0], done.stderr)
        return done.stdout

    def _failed(self, what: str, errors: bytes) -> SourceError:
        why, hint = explained(errors)
        return SourceError(f"{self._remote.url}: git {what}: {why}", hint=hint)


def read_blobs(
    repository: Repository, blobs: Sequence[Blob], where: str
) -> tuple[Iterator[tuple[str, bytes]], dict[str, str]]:
    """The files among the blobs with their contents, each checked when it is read; and the symlinks' targets.

    Raises RefusedError.
    """
    links = [blob for blob in blobs if blob.is_link]
    files = [blob for blob in blobs if not blob.is_link]
    targets = {
        blob.path: check_link(blob.path, content, where)
        for blob, content in zip(links, repository.contents(links), strict=True)
    }

    def contents() -> Iterator[tuple[str, bytes]]:
        for blob, content in zip(files, repository.contents(files), strict=True):
            check_content(blob.path, content, where)
            yield blob.path, content

    return contents(), targets
