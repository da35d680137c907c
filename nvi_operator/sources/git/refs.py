"""Which branch or tag of a remote is followed, from what `git ls-remote` prints. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import SourceError, printable
from nvi_operator.pattern import pattern

HEADS, TAGS = "refs/heads/", "refs/tags/"
TESTING = "refs/heads/testing/"
_ID = pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Tip:
    """A branch or tag, and the object that it names: a commit, or a tag with a message of its own."""

    ref: str
    object: str

    @property
    def name(self) -> str:
        return short_ref(self.ref)


def is_object_name(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def object_format(identity: str) -> str:
    """The format of the repository that has an object of this name."""
    return "sha256" if len(identity) == 64 else "sha1"


def short_ref(ref: str) -> str:
    return ref.removeprefix(HEADS).removeprefix(TAGS)


def parse_refs(output: bytes) -> dict[str, str]:
    """What each ref names. A line that is none is left out: what comes from a remote may be anything."""
    found = {}
    for line in output.decode(errors="replace").splitlines():
        identity, _, ref = line.partition("\t")
        if _ID.fullmatch(identity) and ref.startswith((HEADS, TAGS)) and ref.isprintable() and "^" not in ref:
            found[ref] = identity
    return found


def default_branch(output: bytes) -> str | None:
    """What HEAD of the remote leads to, as `git ls-remote --symref` tells it."""
    found = re.search(rb"^ref: refs/heads/(\S+)\tHEAD$", output, re.MULTILINE)
    return printable(found[1].decode(errors="replace")) if found else None


def choose(refs: Mapping[str, str], branch: str | None, tag: str | None, default: str | None = None) -> Tip:
    """The branch, or the tag with the highest version of those that match. Raises SourceError.

    `default` is what the remote calls its default branch, for the hint.
    """
    if tag is None:
        ref = HEADS + (branch or "main")
        if ref not in refs:
            there = f": its default branch is {default}" if default and default != branch else ""
            raise SourceError(
                f"branch {short_ref(ref)}: not in the remote repository", hint=f"push it, or name another{there}"
            )
        return Tip(ref, refs[ref])
    matching = [ref for ref in refs if ref.startswith(TAGS) and fnmatchcase(ref.removeprefix(TAGS), tag)]
    if not matching:
        raise SourceError(f"tags {tag}: none in the remote repository", hint="push one, or name another pattern")
    ref = max(matching, key=lambda found: version(found.removeprefix(TAGS)))
    return Tip(ref, refs[ref])


def version(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key to compare versions by: numbers as numbers, and `v2.0-rc1` before `v2.0`.

    Numbers as digits: Python makes no number of more than 4,300 of them, and a remote may have any name.
    """
    key = []
    for part in re.findall(r"[0-9]+|[^0-9]+", name):
        digits = part.lstrip("0")
        is_number = part[0] in "0123456789"
        key.append((2, len(digits), digits) if is_number else (0 if part[0] in "-~" else 3, 0, part))
    return (*key, (1, 0, ""))
