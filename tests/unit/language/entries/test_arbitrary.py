"""Whatever a file holds, it is read or refused: nothing else is raised."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from nvi_operator.errors import SpecError
from nvi_operator.language.load.files import ENTRY_SUFFIXES
from nvi_operator.language.load.loader import load_texts
from tests.examples import examples
from tests.unit.language.entries.beside import HEADER, READS_JSON
from tests.unit.language.specs import BASE

_CHARACTERS = st.sampled_from(
    [*'{}[]":,;\\\n\r\t #', "name", "to", "at", "ports", "web", "80/tcp", "192.168.1.1", "true"]
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
_VALUES = st.recursive(
    _SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=2)
)
_FIELDS = st.sampled_from(
    ["name", "at", "ports", "protocol", "to", "pick", "tenant", "from", "fromPorts", "dscp", "mark", "except", "x"]
)


@given(st.lists(_CHARACTERS | st.characters()).map("".join) | st.binary(), st.sampled_from(ENTRY_SUFFIXES))
@settings(max_examples=examples(300))
def test_whatever_a_file_holds_only_a_spec_error_is_raised(text: str | bytes, suffix: str) -> None:
    raises_nothing_else(f"f{suffix}", text)
    raises_nothing_else(
        f"f{suffix}", HEADER.encode() + (text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    )


@given(st.lists(st.dictionaries(_FIELDS, _VALUES | st.just("192.168.1.1")), min_size=1, max_size=3))
def test_whatever_an_object_holds_only_a_spec_error_is_raised(objects: list[dict[str, object]]) -> None:
    for ascii_ in (True, False):
        lines = "".join(json.dumps({"name": "w", **one}, ensure_ascii=ascii_) + "\n" for one in objects)
        raises_nothing_else("f.jsonl", lines.encode("utf-8", "surrogatepass"))


_PLACES = ("isp-a", "isp-b", "dsl", "isp-c", "203.0.113.17", "203.0.113.017", "2001:db8:a::2", "2001:DB8:A::2", "x y")
_PORTS = (
    "80/tcp",
    "80-81/udp",
    "080/tcp",
    "80",
    "\u0663/tcp",
    "hash",
    "random",
    "true",
    "10.0.0.0/8",
    "10.0.0.1/8",
    "gre",
    "41",
    "",
)
_SERVERS = (
    "192.168.1.1",
    "192.168.1.1:80",
    "192.168.1.1:80-81",
    "[fd00:1::1]:80",
    "192.168.1.1:0",
    "192.168.1.1:\u0663",
)
_TEXTS = st.sampled_from([*_PLACES, *_PORTS, *_SERVERS])
_NUMBERS = st.integers(-1, 99_999) | st.floats(allow_nan=False, allow_infinity=False)
_WRITTEN = st.one_of(
    _TEXTS,
    st.lists(_TEXTS, max_size=3),
    st.dictionaries(_TEXTS, st.integers(0, 2), max_size=2),
    st.none() | st.booleans() | _NUMBERS,
)
_OPTIONAL = dict.fromkeys(
    ("at", "ports", "protocol", "pick", "from", "fromPorts", "dscp", "mark", "except", "hairpin"), _WRITTEN
)


@given(st.fixed_dictionaries({"to": _WRITTEN}, optional=_OPTIONAL))
@settings(max_examples=examples(400))
def test_an_entry_is_worth_the_same_wherever_it_is_written(entry: dict[str, object]) -> None:
    """The fast way, field by field, against pydantic: JSON is YAML."""
    inline = BASE + f"  forwards:\n    w: {json.dumps(entry, ensure_ascii=False)}\n"
    line = json.dumps({"name": "w", **entry}, ensure_ascii=False)
    assert told({"gw.yaml": READS_JSON, "f.jsonl": line}) == told({"gw.yaml": inline})


def told(texts: dict[str, str]) -> object:
    try:
        return load_texts(texts).spec.forwards
    except SpecError as error:
        return [(problem.path, problem.message, problem.hint) for problem in error.problems]


def raises_nothing_else(name: str, text: str | bytes) -> None:
    try:
        load_texts({"gw.yaml": BASE + f"  forwardsFrom: {name}\n", name: text})
    except SpecError as error:
        str(error).encode()  # a terminal can show it
        assert all(problem.position.line > 0 and problem.position.column > 0 for problem in error.problems)  # noqa: PT017
