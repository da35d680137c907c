"""Which gateways differ between two sides: each is a pair of specs, before and after.

The bytes come from a `Side`: a git revision or a directory (sources/side.py). What is the same on both sides is not
read, and an edit of a few entries is read by itself, as the daemon does (docs/adr/0012-edits.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Protocol

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, SpecError, printable
from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.fast.incremental import reload
from nvi_operator.language.load.every_host import load_each
from nvi_operator.language.load.files import beside
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.preview.model import RefusedPreview


class SpecTexts(Protocol):
    """The files of one spec directory."""

    def specs(self, prefix: str) -> Mapping[str, bytes]:
        """The YAML by the name below the directory, with `prefix`. Raises SpecError."""

    def entries(self, document: str, name: str) -> bytes:
        """What `ReadEntries` returns, by these names. Raises OSError."""


class Side(Protocol):
    """The files before a change, or after it."""

    @property
    def label(self) -> str: ...

    def directories(self, pattern: str) -> list[str]: ...

    def identity(self, directory: str) -> str:
        """Equal, and not empty, only if the files are."""

    def prefix(self, directory: str) -> str:
        """What the names of its files begin with."""

    def own_prefix(self, directory: str) -> str:
        """The same, where the two sides must be told apart."""

    def texts(self, directory: str) -> AbstractContextManager[SpecTexts | None]:
        """None where the side has no such directory, or no spec in it. Raises NviError."""


@dataclass(frozen=True)
class Pair:
    """One gateway before and after. `delta`: where only a few entries differ."""

    name: str
    directory: str
    before: LoadedSpec | None
    after: LoadedSpec | None
    delta: Delta | None = None
    moved: str = ""  # where it was before


def pairs(base: Side, head: Side, patterns: Sequence[str]) -> tuple[list[Pair], list[RefusedPreview]]:
    """The gateways that may differ, and what is wrong. Raises NviError."""
    found: list[Pair] = []
    refused: list[RefusedPreview] = []
    has_specs = False
    for directory in sorted(
        {name for pattern in patterns for side in (base, head) for name in side.directories(pattern)}
    ):
        if base.identity(directory) and base.identity(directory) == head.identity(directory):
            has_specs = True
            continue
        with ExitStack() as stack:
            sides = [_Files.of(side, directory, stack) for side in (base, head)]
            has_specs |= any(side.texts or side.error for side in sides)
            for each in _of_directory(directory, *sides):
                if isinstance(each, RefusedPreview):
                    refused.append(each)
                else:
                    found.append(each)
    if not has_specs:
        shown = ", ".join(map(printable, patterns))
        raise NviError(
            f"{shown}: no YAML files in {printable(base.label)} nor in {printable(head.label)}",
            hint="name the directories of specs: --path 'gateways/*'",
        )
    return _with_moved(found), refused


@dataclass(frozen=True)
class _Files:
    """The files of one directory on one side, or why they are refused."""

    side: Side
    texts: SpecTexts | None = None
    error: NviError | None = None

    @classmethod
    def of(cls, side: Side, directory: str, stack: ExitStack) -> _Files:
        try:
            return cls(side, stack.enter_context(side.texts(directory)))
        except NviError as error:
            return cls(side, error=error)


def _of_directory(directory: str, old: _Files, new: _Files) -> Iterator[Pair | RefusedPreview]:
    prefix = new.side.prefix(directory)
    before = _Loaded(directory, old, prefix)  # by the names of the other side, so that its places stay
    if before.refused:
        before = _Loaded(directory, old, old.side.own_prefix(directory))
        yield from (replace(refused, is_base=True) for refused in before.refused)
    elif new.texts is not None and (edited := _edited(before, new.texts, prefix)) is not None:
        yield from edited
        return
    after = _Loaded(directory, new, prefix)
    yield from after.refused
    if not before.is_read or not after.is_read:
        return  # compared with nothing all of it would be new, or removed
    wrong = before.wrong | after.wrong
    for name in sorted({*before.gateways, *after.gateways} - wrong):
        was, now = before.gateways.get(name), after.gateways.get(name)
        if was is None or now is None or was.contents != now.contents:
            yield Pair(name, directory, was, now)


class _Loaded:
    """The gateways of one directory on one side."""

    def __init__(self, directory: str, files: _Files, prefix: str) -> None:
        self.directory = directory
        self.yaml: Mapping[str, bytes] = {}
        self.entries: dict[tuple[str, str], bytes] = {}  # by document and name there
        self.gateways: dict[str, LoadedSpec] = {}
        self.refused: list[RefusedPreview] = []
        self.is_read = True
        try:
            if files.error is not None:
                raise files.error
            if files.texts is not None:
                self._load(files.texts, prefix)
        except NviError as error:
            self.is_read = False
            self.refused.append(RefusedPreview(directory, error))

    @property
    def wrong(self) -> frozenset[str]:
        return frozenset(refused.gateway for refused in self.refused)

    def _load(self, texts: SpecTexts, prefix: str) -> None:
        def read(document: str, name: str) -> bytes:
            self.entries[document, name] = data = texts.entries(document, name)
            return data

        self.yaml = texts.specs(prefix)
        for name, found in load_each(self.yaml, root=prefix or ".", entries=read).items():
            if isinstance(found, SpecError):
                self.refused.append(RefusedPreview(self.directory, found, name))
            else:
                self.gateways[name] = found


def _edited(before: _Loaded, texts: SpecTexts, prefix: str) -> list[Pair] | None:
    """The gateways where the difference is a few entries of one file. None: all of it has to be read."""
    try:
        yaml = texts.specs(prefix)
        changed = {file: data for file, data in yaml.items() if data != before.yaml.get(file)}
        for (document, name), data in before.entries.items():
            if (now := texts.entries(document, name)) != data:
                changed[beside(document, name)] = now
    except (SpecError, OSError):
        return None
    if yaml.keys() != before.yaml.keys():
        return None
    found: dict[str, Pair] = {}
    for file, data in changed.items():
        users = [(name, loaded) for name, loaded in before.gateways.items() if file in loaded.files]
        if len(users) != 1 or users[0][0] in found:
            return None
        ((name, loaded),) = users
        if (after := reload(loaded, file, data)) is None:
            return None
        found[name] = Pair(name, before.directory, loaded, *after)
    return list(found.values())


def _with_moved(found: list[Pair]) -> list[Pair]:
    """The pairs, where a gateway that left one directory and is in another one now is one of them."""
    left = [pair for pair in found if pair.after is None]
    came = [pair for pair in found if pair.before is None]
    joined = {id(new): old for new in came for old in left if _is_moved(old, new, left, came)}
    gone = set(map(id, joined.values()))
    if len(gone) != len(joined):
        return found  # one was copied
    return [
        replace(pair, before=joined[id(pair)].before, moved=joined[id(pair)].directory)
        if id(pair) in joined
        else pair
        for pair in found
        if id(pair) not in gone
    ]


def _is_moved(old: Pair, new: Pair, left: Sequence[Pair], came: Sequence[Pair]) -> bool:
    """The only one of its name on both sides, or one that is just the same."""
    if old.name != new.name or old.before is None or new.after is None:
        return False
    is_only = all(sum(pair.name == old.name for pair in side) == 1 for side in (left, came))
    return is_only or old.before.spec == new.after.spec
