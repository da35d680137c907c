"""Text that is not YAML: one sentence, with its place and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.language.model.sections import LANGUAGE
from nvi_operator.language.wording import short
from nvi_operator.pattern import pattern

_BOM = b"\xef\xbb\xbf"
# What libyaml calls printable (YAML 1.2.2, chapter 5.1).
_PRINTABLE = "\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_KEY = pattern(r" *(?:- +)*(?P<key>[A-Za-z]+):(?P<value>[^ :].*?) *(?: #.*)?$")
_OTHER_BREAKS = pattern("[\x85\u2028\u2029]")
_QUOTES = "put quotes around the whole value"
_INDENT = "check the indentation of this line and of those before it"

# libyaml's messages about a line after one with `key:value`, which YAML takes for text.
_AFTER_GLUED = ("mapping values are not allowed", "did not find expected key", "expected <block end>")

# (the message of libyaml or PyYAML, the one shown, what to do); libyaml bounds the depth by itself since 0.2.6
_SENTENCES = (
    ("mapping values are not allowed", "a ': ' where no new key can be", f"{_QUOTES}, or check the indentation"),
    ("did not find expected key", "this line is indented neither as a key nor as a value", _INDENT),
    ("expected <block end>", "this line is indented neither as a key nor as a value", _INDENT),
    ("did not find expected '-' indicator", "a list goes on without '-'", _INDENT),
    ("expected ',' or ']'", "a list that [ began is not closed", "close it with ]"),
    ("expected ',' or '}'", "a mapping that { began is not closed", "close it with }"),
    ("expected node content", "a value is missing here", "write it, or close the brackets"),
    ("expected the node content", "a value is missing here", "write it, or close the brackets"),
    ("found unexpected end of stream", "the file ends inside a quoted text", "close the quotes"),
    ("unknown escape character", "an unknown escape after \\", "use single quotes, in which \\ means itself"),
    ("exceeded maximum nesting depth", "nested too deep", "no gateway needs this: check the brackets"),
    ("incompatible YAML document", "this document asks for another version of YAML", "remove the %YAML line"),
)


def encoded(data: bytes | str) -> bytes:
    """The bytes of a file, without a byte order mark; UTF-8 or not."""
    return (data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data).removeprefix(_BOM)


def decoded(data: bytes | str, file: str) -> str:
    """The text, without a byte order mark. Raises SpecError where it is not UTF-8."""
    data = encoded(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _after(data[: error.start].decode("utf-8"), file)
        message = f"byte {data[error.start]:#04x} is not UTF-8"
        raise SpecError([SpecProblem(place, "", message, "save the file in UTF-8")]) from error


def reader_problem(text: str, file: str) -> SpecProblem:
    """A character that YAML does not allow. libyaml counts bytes here, so it is looked for again."""
    match = re.search(f"[^{_PRINTABLE}]", text)  # compiled here: that takes milliseconds, and few specs need it
    before, what = (text[: match.start()], f"U+{ord(match[0]):04X}") if match else ("", "a control character")
    return SpecProblem(_after(before, file), "", f"{what} is not allowed in YAML", "remove this invisible character")


def other_line_break(text: str, file: str) -> SpecProblem | None:
    """The first that YAML 1.1 has and editors have not: what seems to be in a comment would be read after it."""
    match = None if text.isascii() else _OTHER_BREAKS.search(text)
    if match is None:
        return None
    message = f"U+{ord(match[0]):04X} is not allowed: some readers of YAML begin a new line here, and some do not"
    return SpecProblem(_after(text[: match.start()], file), "", message, "remove this invisible character")


def _after(before: str, file: str) -> Position:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", before)
    return Position(file, len(lines), len(lines[-1]) + 1)


def syntax_problem(error: Any, text: str, file: str) -> SpecProblem:
    """A scanner's or parser's error (yaml.MarkedYAMLError)."""
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    if mark is None:
        return SpecProblem(Position(file, 1, 1), "", f"not YAML: {error.problem}", _INDENT)
    if text[mark.index - 1 : mark.index + 1] == "${":
        name = text[mark.index + 1 :].partition("}")[0]
        hint = f'write "${{{short(name)}}}"'
        message = "not YAML: a variable within [ ] or { } needs quotes"
        return SpecProblem(Position(file, mark.line + 1, mark.column), "", message, hint)
    if found := _glued(error.problem or "", mark, begun, text):
        line, column, message, hint = found
        return SpecProblem(Position(file, line + 1, column + 1), "", f"not YAML: {message}", hint)
    if begun is not None and mark.index >= len(text.rstrip()):
        mark = begun  # it is missed at the end of the file, and mended where it begins
    message, hint = _sentence(error.problem or "", text[mark.index : mark.index + 1])
    return SpecProblem(Position(file, mark.line + 1, mark.column + 1), "", f"not YAML: {message}", hint)


def _glued(problem: str, mark: Any, begun: Any, text: str) -> tuple[int, int, str, str] | None:
    """A key without its ':', or without the space after it: where it is, and not where YAML gives it up."""
    lines = text.splitlines()
    keyless = "could not find expected ':'" in problem and begun is not None
    if keyless:
        line, columns = begun.line, {begun.column}
    elif any(part in problem for part in _AFTER_GLUED) and mark.line < len(lines):
        refused = lines[mark.line]
        if ": " in refused[: mark.column]:
            return None
        # The first key of its line cannot be one: the line before was meant as a key.
        line = next((n for n in range(mark.line - 1, -1, -1) if lines[n].strip()), mark.line)
        columns = {len(refused) - len(refused.lstrip())}
    else:
        return None
    match = _KEY.match(lines[line])
    if match and match["key"] in LANGUAGE.field_names and match.start("key") in columns:
        written = f"{match['key']}: {short(match['value'])}"
        return line, match.start("key"), "a key without a space after its ':'", f"write `{written}`"
    if keyless:
        return line, begun.column, "a key without its ':'", "write `key: value`, with a space after the colon"
    return None


def _sentence(problem: str, character: str) -> tuple[str, str]:
    if "cannot start any token" in problem:
        if character == "\t":
            return "a tab where only spaces may be", "indent with spaces"
        return f"{character!r} cannot start a value", _QUOTES
    for part, message, hint in _SENTENCES:
        if part in problem:
            return message, hint
    return problem, "check the indentation and the quotes of this line and of those before it"
