"""Long runs of plain entries in YAML, which are read without libyaml: it makes ten objects for each value.

A run is a part of a bulk section, such as `forwards`, where entry follows entry in one of two plain shapes:

    web: {at: isp-a, ports: 443/tcp, to: "192.168.1.80:8443"}   # a comment
    mail:
      ports: [25/tcp, 587/tcp]
      to: 192.168.1.25

Entries of a section that the language does not have are plain by their shape alone: the section is the mistake, and
what its entries mean is never asked.

`cut` takes the runs out and leaves two marker entries in the place of each; libyaml reads what remains. Where both
markers come out as keys of that section, the run stood in a block mapping at that indentation, and each line of it
means what it seems to mean; two, because in a flow mapping a comma would be missing between them. What is not plain,
or wrong, is left to libyaml and pydantic. Anything else is a NotPlainError, upon which they read the whole text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from nvi_operator.errors import Position
from nvi_operator.language.fast.delta import Delta, Patch
from nvi_operator.language.fast.fast_entries import WRONG, Builder
from nvi_operator.language.fast.line_diff import LineSpan
from nvi_operator.language.load.yaml_reader import Path, parse
from nvi_operator.language.load.yaml_scalars import may_be_other_than_text, value_of
from nvi_operator.language.model.values import is_name
from nvi_operator.pattern import pattern

LEAST = 4096  # characters that a run must have to be worth it

# Groups are never possessive: `(?:a|b)*+` forgets where it began when it fails (CPython 3.11).
_PLAIN = r"[A-Za-z0-9][A-Za-z0-9./:_-]*+(?<!:)"
_QUOTED = r"\"[A-Za-z0-9./:_\[\] -]*+\"|'[A-Za-z0-9./:_\[\] -]*+'"
_ITEM = rf"(?:{_PLAIN}|{_QUOTED})"
_VALUE = rf"(?:{_ITEM}|\[ *+{_ITEM}(?: *+, *+{_ITEM})* *+\])"
_FIELD = rf"[A-Za-z]++: ++{_VALUE}"
# What a comment may not have, which is less: `re` takes a turn for each character of a range to compile it.
_COMMENT = r"#[^\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029\ud800-\U0010ffff]*+"
_REST = rf" *+(?:(?<= ){_COMMENT})?\n"  # of a line: nothing, or a comment

_SPEC = pattern(rf"^spec:{_REST}", re.MULTILINE)
_PAIR = pattern(rf"([A-Za-z]+): +({_VALUE})")
_PAIR_OF_LINE = pattern(rf"^ +([A-Za-z]+): +({_VALUE})", re.MULTILINE)
_ITEMS = pattern(_ITEM)


class NotPlainError(Exception):
    """The text is not as plain as it seemed."""


class EntryRun(NamedTuple):
    """A part of a file, from byte `start` to `end`, at an indentation; and its entries."""

    section: str
    model: type[Any] | None  # of its entries; None in a section that is unknown
    indent: str
    start: int
    end: int
    entries: Mapping[str, Any]
    unread: bool = False  # entries that look plain are left out: enough before them are wrong, or enough were read

    def find(self, path: Path, data: bytes, file: str, *, key: bool) -> Position:
        """The place of what is in an entry; `path` begins with its name."""
        begin = re.compile(rf"^{self.indent}{path[0]}:".encode(), re.MULTILINE).search(data, self.start, self.end)
        assert begin is not None
        after = re.compile(rf"^{self.indent}[^ ]".encode(), re.MULTILINE).search(data, begin.end(), self.end)
        (entry,) = parse(data[begin.start() : after.start() if after else self.end], file)
        position = entry.find(path, key=key)
        return Position(file, position.line + data.count(b"\n", 0, begin.start()), position.column)

    def edited(self, old: bytes, new: bytes, lines: LineSpan) -> tuple[EntryRun, Patch] | None:
        """The run after an edit of its bytes, if that left plain entries only."""
        if not self.start <= lines.start <= lines.old_end <= self.end:
            return None
        head = re.compile(rf"^{self.indent}[^ #\n]".encode(), re.MULTILINE)
        # Lines that come first could belong to the entry before, so that one is read as well.
        begin = self._entry_before(old, lines.start)
        after = head.search(old, lines.old_end, self.end)
        end = after.start() if after else self.end
        before, now = (_plain(self, data) for data in (old[begin:end], new[begin : end + lines.growth]))
        if before is None or now is None:
            return None
        patch = Patch(Delta.between(self.section, before, now))
        entries = patch(self.entries)
        if not entries:
            return None  # a section with nothing in it is no mapping
        return self._replace(end=self.end + lines.growth, entries=entries), patch

    def _entry_before(self, data: bytes, line: int) -> int:
        """Where the last entry begins that begins before this line."""
        name = re.compile(rf"{self.indent}[^ #\n]".encode())
        while line > self.start:
            line = data.rfind(b"\n", self.start - 1, line - 1) + 1
            if name.match(data, line):
                break
        return line

    def moved(self, by: int) -> EntryRun:
        """The run, so many bytes further on."""
        return self._replace(start=self.start + by, end=self.end + by)


def _plain(run: EntryRun, data: bytes) -> dict[str, Any] | None:
    """The entries of a part of a run; None if there is anything else in it."""
    plain, _ = _patterns(run.indent)
    build = _builder(run.model)
    entries: dict[str, Any] = {}
    place = 0
    try:
        text = data.decode()
        while place < len(text):
            match = plain.match(text, place)
            if match is None or not _add(entries, match, build):
                return None
            place = _after(text, match.end())
    except (NotPlainError, UnicodeDecodeError):
        return None
    return entries


def cut(
    text: str,
    models: Mapping[str, type[Any]],
    least: int = LEAST,
    most_wrong: int | None = None,
    first: int | None = None,
    known: Collection[str] = (),
) -> tuple[bytes, str, Mapping[str, EntryRun]]:
    """The text in UTF-8; as text with two markers in the place of each run; and the runs by their first marker.

    Lines end in one way in both. Runs of a section that is not among the `known` ones are cut out as well. After
    `most_wrong` entries of a section that are wrong the plain ones that follow are unread; after the `first` plain
    ones so is the rest of the section, whatever it is. Raises NotPlainError.
    """
    data = lines_of(text.encode())
    text = data.decode()
    stem = _unused(text)
    runs: dict[str, EntryRun] = {}
    remains: list[str] = []
    done = 0
    spec = _SPEC.search(text) if known else None
    inside = _indent(text, _after(text, spec.end())) if spec else ""
    heads = _heads(tuple(models), tuple(known or ()), inside)
    head = heads.search(text)
    while head is not None:
        for run in _runs_of(head, text, models, least, most_wrong, first):
            marker = f"{stem}{len(runs)}a"
            remains += (text[done : run.start], f"{run.indent}{marker}: {{}}\n{run.indent}{second(marker)}: {{}}\n")
            done = run.end
            runs[marker] = run
        head = heads.search(text, max(head.end(), done))
    if len(data) > len(text):
        places = {place: len(text[:place].encode()) for run in runs.values() for place in (run.start, run.end)}
        runs = {marker: run._replace(start=places[run.start], end=places[run.end]) for marker, run in runs.items()}
    return data, "".join((*remains, text[done:])), runs


def lines_of(data: bytes) -> bytes:
    """The text with all line ends alike."""
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data  # one byte is found ten times as fast


def second(first: str) -> str:
    """The other marker."""
    return first[:-1] + "b"


def _unused(text: str) -> str:
    stem = "run-"
    while stem in text:
        stem = f"run-{stem}"
    return stem


def _runs_of(
    head: re.Match[str],
    text: str,
    models: Mapping[str, type[Any]],
    least: int,
    most_wrong: int | None,
    first: int | None,
) -> Iterator[EntryRun]:
    indent = _indent(text, _after(text, head.end()))
    if len(indent) <= len(head[1]):
        return
    plain, other = _patterns(indent)
    section, model = head[2], models.get(head[2])
    build = _builder(model)
    start, end = head.end(), head.end()
    entries: dict[str, Any] = {}
    wrong = read = 0
    while True:
        place = _after(text, end)
        match = plain.match(text, place)
        if match is not None and _add(entries, match, build):
            start, end = (start, match.end()) if len(entries) > 1 else match.span()
            read += 1
            if read == first:
                rest = _end_of_section(text, end, indent)
                yield EntryRun(section, model, indent, start, rest, entries, unread=rest > _after(text, end))
                return
            continue
        if end - start >= least:
            yield EntryRun(section, model, indent, start, end, entries)
        passed = other.match(text, place)
        if passed is None:
            return
        start = end = passed.end()
        entries = {}
        wrong += match is not None
        if wrong == most_wrong and first is not None:
            if (rest := _end_of_section(text, end, indent)) - start >= least:
                yield EntryRun(section, model, indent, start, rest, {}, unread=True)
            return
        if wrong == most_wrong:
            while (match := plain.match(text, _after(text, end))) is not None:
                end = match.end()
            if end - start >= least:
                yield EntryRun(section, model, indent, start, end, {}, unread=True)
            start = end


def _after(text: str, place: int) -> int:
    """Past lines that are empty, or a comment."""
    match = _nothing().match(text, place)
    return match.end() if match else place


@cache
def _nothing() -> re.Pattern[str]:
    return re.compile(rf"(?: *+(?:{_COMMENT})?\n)*")


def _end_of_section(text: str, place: int, indent: str) -> int:
    """The first line that is indented less, from the beginning of a line on."""
    # By the line end before it, which `re` finds much faster than a beginning.
    match = re.compile(rf"\n(?!{indent})(?! *+(?:#|$))", re.MULTILINE).search(text, place - 1)
    return match.end() if match else len(text)


@cache
def _heads(bulk: tuple[str, ...], known: tuple[str, ...], indent: str) -> re.Pattern[str]:
    """The line that begins one of the bulk sections, or an unknown one at this indentation."""
    unknown = rf"|(?<=\n{indent})(?!(?:{'|'.join(known)}):)[A-Za-z][A-Za-z0-9_-]*+" if indent else ""
    return re.compile(rf"^( +)({'|'.join(bulk)}{unknown}):{_REST}", re.MULTILINE)


def _indent(text: str, place: int) -> str:
    return " " * (len(text[place : place + 80]) - len(text[place : place + 80].lstrip(" ")))


def _patterns(indent: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A plain entry, and one of whatever kind."""
    name = f"{indent}([a-z0-9][a-z0-9-]*+):"
    in_one_line = rf" ++\{{( *+{_FIELD}(?: *+, *+{_FIELD})*) *+\}}{_REST}"
    in_several = rf"{_REST}((?P<inner>{indent} ++){_FIELD}{_REST}(?:(?P=inner){_FIELD}{_REST})*)"
    plain = rf"{name}(?:{in_one_line}|{in_several})(?!{indent} )"
    other = rf"{indent}[^ \n][^\n]*+(?:\n|\Z)(?:(?:{indent} [^\n]*+| *+(?:#[^\n]*+)?)\n)*"
    return re.compile(plain), re.compile(other)


def _add(entries: dict[str, Any], match: re.Match[str], build: Callable[[list[tuple[str, str]]], Any]) -> bool:
    """Is it an entry that is right in itself?"""
    name, flow, block, _ = match.groups()
    pairs = _PAIR.findall(flow) if flow is not None else _PAIR_OF_LINE.findall(block)
    if name in entries:
        raise NotPlainError
    try:
        if not is_name(name) or (may_be_other_than_text(name) and value_of(name) != name):
            return False
        entries[name] = build(pairs)
    except WRONG:
        return False
    return True


def _builder(model: type[Any] | None) -> Callable[[list[tuple[str, str]]], Any]:
    return _readable if model is None else Builder(model, _value).build


def _readable(pairs: list[tuple[str, str]]) -> None:
    """For an entry without a model. Raises one of WRONG where libyaml has something to say against it."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a field appears twice")
    for _, token in pairs:
        _value(token)


def _value(token: str) -> Any:
    """What YAML makes of a token. Raises ValueError where readers of YAML do not agree."""
    if token[0] in "\"'":
        return token[1:-1]
    if token[0] == "[":
        return [_value(item) for item in _ITEMS.findall(token)]
    return value_of(token)
