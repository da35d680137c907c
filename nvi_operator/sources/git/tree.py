"""The files of a spec in a commit: which of them are taken, and why a tree is refused. Pure.

A tree is what a remote says it is. So each name is looked at before it becomes a path, and each size before a byte is
asked for. What no spec is made of (a README, a script) is left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import RefusedError
from nvi_operator.language.load.files import (
    ENTRY_SUFFIXES,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_SCANNED,
    SUFFIXES,
)

_LINK = "120000"
SUBMODULE = "160000"  # as git names the kind of an entry
_FILES = ("100644", "100755", "100664")
LONGEST_LINK = 4096  # bytes
LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Blob:
    """One file, or with `is_link` a symlink, whose content is where it leads."""

    path: str
    object: str
    size: int
    is_link: bool = False


def spec_blobs(listing: bytes, where: str) -> list[Blob]:
    """The blobs of a spec, from what `git ls-tree -r -z -l` prints of the tree called `where`.

    Raises RefusedError with the first name that is refused.
    """
    found: list[Blob] = []
    total = 0
    for blob in _parsed(listing, where):
        if not blob.is_link and not blob.path.endswith((*SUFFIXES, *ENTRY_SUFFIXES)):
            continue
        if blob.size > MAX_FILE_BYTES:
            raise _refused(where, blob.path, f"it has {blob.size >> 20} MiB: more than {MAX_FILE_BYTES >> 20}")
        total += blob.size
        if total > MAX_BYTES:
            raise _refused(where, blob.path, f"the spec up to this file has more than {MAX_BYTES >> 20} MiB")
        found.append(blob)
        if len(found) > MAX_FILES:
            raise _refused(where, blob.path, f"there are more than {MAX_FILES} files")
    return found


def _parsed(listing: bytes, where: str) -> Iterator[Blob]:
    seen: set[str] = set()
    for number, entry in enumerate(listing.split(b"\0")[:-1]):
        if number >= MAX_SCANNED:
            raise RefusedError(
                f"{where}: refused: more than {MAX_SCANNED} files", hint="name the directory of the spec"
            )
        head, _, raw = entry.partition(b"\t")
        mode, _, identity, size = head.decode("ascii", "replace").split()
        path = _checked(raw, where)
        if path in seen:
            raise _refused(where, path, "the name is there twice")
        seen.add(path)
        if any(part.startswith(".") for part in path.split("/")):
            continue  # as in a directory: .github, .gitattributes, .gitmodules
        if mode == SUBMODULE:
            raise _refused(
                where, path, "it is a submodule: these are not fetched", "put the files into this repository"
            )
        if mode != _LINK and mode not in _FILES:
            raise _refused(where, path, f"mode {mode} is of no file")
        if mode == _LINK and int(size) > LONGEST_LINK:
            raise _refused(where, path, "the symlink is too long")
        yield Blob(path, identity, int(size), is_link=mode == _LINK)


def _checked(raw: bytes, where: str) -> str:
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        raise RefusedError(f"{where}: refused: {raw!r} is not UTF-8", hint="rename the file") from None
    parts = path.split("/")
    if not path.isprintable() or "\\" in path:
        raise RefusedError(
            f"{where}: refused: {path!r} has characters that no file name should have", hint="rename the file"
        )
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise _refused(where, path, "it leads out of the tree")
    if len(parts) > MAX_DEPTH or len(raw) > 2048 or any(len(part.encode()) > 255 for part in parts):
        raise _refused(where, path[:80], "the path is too long or too deep")
    return path


def check_link(path: str, target: bytes, where: str) -> str:
    """Where a symlink leads. Raises RefusedError if that is not in the tree."""
    text = target.decode(errors="replace")
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    if not text or not text.isprintable() or text.startswith("/") or end == ".." or end.startswith("../"):
        raise _refused(where, path, f"the symlink leads out of the tree: {text!r}", "put the file itself there")
    return text


def check_content(path: str, content: bytes, where: str) -> None:
    """Raises RefusedError where a file stands for another one that is elsewhere."""
    if content.startswith(LFS):
        raise _refused(where, path, "its content is in Git LFS, which is not fetched", "commit the file itself")


def _refused(where: str, path: str, why: str, hint: str = "") -> RefusedError:
    return RefusedError(f"{where}: refused: {path}: {why}", hint=hint)
