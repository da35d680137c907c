"""Runs of plain entries: whatever the text, they are read as libyaml and pydantic read them, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nvi_operator.errors import SpecProblem, SpecProblems
from nvi_operator.language.fast.fast_yaml import NotPlainError, cut
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.load.merge import Part
from nvi_operator.language.load.yaml_documents import CutDocument, parts_of
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.sections import LANGUAGE
from tests.examples import examples
from tests.unit.language.specs import BASE, HEAD, problems_in

NEVER = 1 << 60
Read = tuple[list[tuple[str, dict[str, object], list[str]]], list[SpecProblem]]


def read(text: str, least: int) -> Read:
    problems = SpecProblems()
    parts = parts_of(text, "gw.yaml", problems, least)
    return [(part.name, part.sections, places(part)) for part in parts], problems


def places(part: Part) -> list[str]:
    """The hash of each forward, in their order, and one of something else."""
    paths: list[Path] = [("spec",), ("spec", "uplinks", "isp-b"), ("spec", "static"), ("spec", "forwards")]
    for name in part.sections.get("forwards") or ():
        paths += [("spec", "forwards", name, *more) for more in ((), ("to",), ("ports", 0), ("ports", 1), ("at",))]
    return [str(part.source.find(path, key=key)) for path in paths for key in (False, True)]


def plain(entries: str) -> list[str]:
    """The names of those entries of a section `forwards` that are in runs."""
    _, _, runs = cut(HEAD + "spec:\n  forwards:\n" + entries, LANGUAGE.bulk, 1)
    return [name for run in runs.values() for name in run.entries]


# --------------------------------------------------------------------------- what is plain


@pytest.mark.parametrize(
    "entry",
    [
        "    web: {to: 192.168.1.1}\n",
        "    web:   {  at: [isp-a, isp-b] , ports: [ 1/tcp,2/udp ], to: 192.168.1.1:5  }   # why\n",
        "    web: {at: isp-a, ports: '80/tcp', to: \"[fd00::1]:80\", hairpin: false}\n",
        "    web:\n      at: isp-a # why\n      to: 192.168.1.1\n",
        "    web: # why\n        ports: [1/tcp, 2/tcp]\n        to: fd00::1\n\n",
        "\n  # ä\n    # b: {c: d}\n\n    web: {to: 192.168.1.1}\n",
        "    1-2-3: {to: 192.168.1.1}\r\n",
    ],
)
def test_plain_entries_mean_the_same_read_alone_and_with_all_others(entry: str) -> None:
    assert plain(entry) in (["web"], ["1-2-3"])
    text = HEAD + "spec:\n  forwards:\n" + entry
    assert read(text, 1) == read(text, NEVER)


@pytest.mark.parametrize(
    "entry",
    [
        "    web: {to: {192.168.1.1: 3}}\n",
        "    web: {to: 192.168.1.1,\n      at: isp-a}\n",
        "    web:\n      to:\n        192.168.1.1: 3\n",
        "    web:\n      to: 192.168.1.1\n      at: >\n        isp-a\n",
        "    web:\n      to: 192.168.1.1\n        isp-a\n",
        "    web: &a {to: 192.168.1.1}\n",
        "    web: {to: 192.168.1.1, to: 192.168.1.2}\n",
        "    web: {too: 192.168.1.1}\n",
        "    web: {at: isp-a}\n",
        "    web: {to: 192.168.1.1, ports: 010}\n",
        "    web: {to: 192.168.1.1, hairpin: 1}\n",
        "    010: {to: 192.168.1.1}\n",
        "    1e5: {to: 192.168.1.1}\n",
        "    null: {to: 192.168.1.1}\n",
        "    a-: {to: 192.168.1.1}\n",
        "    web: {to: 192.168.1.1 }#\n",
        "    web: {to: ::1}\n",
        "    web: {at: isp:, to: 1.1.1.1}\n",
        '    web: {to: "192.168.1.1\\n"}\n',
        "    'web': {to: 192.168.1.1}\n",
        "    web : {to: 192.168.1.1}\n",
        "    web:\t{to: 192.168.1.1}\n",
        "    web: {to: 192.168.1.1} # \x85\n",
        "   web: {to: 192.168.1.1}\n    other: {to: 192.168.1.2}\n",
    ],
)
def test_what_is_left_to_libyaml(entry: str) -> None:
    assert plain("    zzz: {to: 192.168.1.9}\n" + entry) in (["zzz"], ["zzz", "other"], [])


def test_a_name_that_comes_twice_is_a_doubt() -> None:
    with pytest.raises(NotPlainError):
        plain(ENTRIES + ENTRIES)


# --------------------------------------------------------------------------- in whatever surroundings

ENTRIES = "    a: {to: 192.168.1.1}\n    b: {to: 192.168.1.2}\n"
IN_FLOW = "    {\n    z: {to: 192.168.1.1},\n" + ENTRIES + "    }\n"


@example(HEAD + "spec:\n  forwards:\n" + IN_FLOW)
@example(HEAD + "spec:\n  forwards:\n    {\n" + ENTRIES.replace("}\n", "},\n") + "    }\n")
@example(HEAD.replace("gw}", "gw, description: '\n  forwards:\n" + ENTRIES + "'}"))
@example(
    HEAD.replace("{name: gw}", "\n  name: gw\n  description: |\n   forwards:\n" + ENTRIES + "spec:\n  host: any")
)
@example(HEAD + "spec:\n  forwards:\n" + ENTRIES + "    c: {to: {192.168.1.3: 1}}\n" + ENTRIES)
@example(HEAD.replace("{name: gw}", "\n  name: gw\n  description: |\n  forwards:\n" + ENTRIES))
@example(HEAD.replace("{name: gw}", "\n  name: gw\n  description: a\n  forwards:\n" + ENTRIES))
@example(HEAD + "spec:\n  interfaces:\n    static:\n      networks: [10.0.0.0/8]\n")
@example(HEAD + "spec:\n  static:\n    a: {address: 1.1.1.1, as: 2.2.2.2}\n      x\n")
@example(HEAD + "spec:\n  forwards:\n" + ENTRIES + "      x: y\n")
@example(HEAD + "spec:\n  forwards:\n" + ENTRIES + "  forwards:\n" + ENTRIES)
@example(HEAD + "spec:\n  forwards:\n" + ENTRIES + "    a:\n")
@example(HEAD + "spec:\n  forwards:\n" + ENTRIES + "    run-0a: {to: ::1}\n" + ENTRIES.replace("2", "3"))
@example(HEAD + "spec:\n  forwards:\n" + ENTRIES + "---\n" + HEAD + "spec:\n  static:\n  forwards:\n" + ENTRIES)
@example(HEAD + "spec:\n - forwards:\n" + ENTRIES)
@example(HEAD + "spec:\n  forwads:\n" + ENTRIES + "  dnat:\n" + ENTRIES + "  forwards:\n" + ENTRIES)
@example(HEAD + "spec:\n  forwads:\n" + ENTRIES + "    c: {to: 08, ports: {}}\n    d: {to: 08}\n" + ENTRIES)
@example(HEAD + "spec:\n  forwads:\n" + ENTRIES + "    c: {to: 1, to: 2}\n")
@example(HEAD + "spec:\n  interfaces:\n" + ENTRIES + "    forwads:\n" + ENTRIES.replace("    ", "      "))
@example(HEAD + "spec:\n  forwads:\n" + ENTRIES + "spec:\n  forwads:\n" + ENTRIES)
@example(HEAD + "spec:\n  forwads: |\n" + ENTRIES + "---\nspec: a\n---\nspec:\n  forwads:\n" + ENTRIES)
@example(HEAD + "spec: {}\nforwards:\n  forwards:\n" + ENTRIES)
@example(BASE + "  forwards:\n" + ENTRIES + "    c: {to: isp-a}\n")
@given(st.data())
@settings(max_examples=examples(300))
def test_a_text_means_the_same_with_and_without_runs(data: st.DataObject | str) -> None:
    text = data if isinstance(data, str) else data.draw(texts())
    assert read(text, 1) == read(text, NEVER)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Documents made of lines that are plain, nearly plain, and anything."""
    name = st.sampled_from(["a", "b", "web", "w-1", "x9", "9", "9x", "null", "no", "1e3", "0x1", "-", "W"])
    value = st.sampled_from(
        [
            *(
                "isp-a",
                "192.168.1.1",
                "'192.168.1.2:80'",
                '"[fd00::1]:80"',
                "80/tcp",
                "[1/tcp, 2/udp]",
                "[a,]",
                "true",
            ),
            *(
                "1.5",
                "08",
                "~",
                "fd00::",
                "a: b",
                "{192.168.1.1: 2}",
                "[",
                "x y",
                "|",
                "'a''b'",
                "&a b",
                "# c",
                "::1",
            ),
        ]
    )
    field = st.builds("{}: {}".format, st.sampled_from(["to", "to", "at", "ports", "hairpin", "from", "too"]), value)
    tail = st.sampled_from(["", "", "", " # c", " #", "#", " ", "\t"])
    flow = st.builds(
        lambda n, f, t: f"    {n}: {{{', '.join(f)}}}{t}\n", name, st.lists(field, min_size=1, max_size=3), tail
    )
    block = st.builds(
        lambda n, f, t: f"    {n}:{t}\n" + "".join(f"      {line}\n" for line in f),
        name,
        st.lists(field, min_size=1, max_size=3),
        tail,
    )
    good = st.integers(0, 99).map(lambda n: f"    n{n}: {{to: 192.168.1.{n}, ports: {n + 1}/tcp}}\n")
    heads = ["  static:\n", "  forwards:\n", "  forwads:\n", "  uplinks:\n"]
    odd = st.sampled_from(["\n", "  # c\n", "      x: y\n", *heads, "  - a\n", "---\n", HEAD])
    lines = draw(st.lists(st.one_of(good, good, good, flow, block, odd), min_size=1, max_size=8))
    head = draw(st.sampled_from([BASE, HEAD + "spec:\n", HEAD, "", HEAD + "spec: {\n", HEAD + "a: |\n"]))
    return head + draw(st.sampled_from(["  forwards:\n", "  forwads:\n"])) + "".join(lines)


# --------------------------------------------------------------------------- and long ones

MANY = "".join(f"    f{n}: {{at: isp-a, ports: {n}/tcp, to: 192.168.1.1}}\n" for n in range(1, 400))


TAKEN = "a public port leads to one place: change the port, the address or `from`"


def test_after_enough_wrong_entries_the_others_like_them_are_not_read() -> None:
    wrong = "".join(f"    f{n}: {{at: isp-a, ports: {n}/tpc, to: 192.168.1.1}}\n" for n in range(9))
    text = BASE + "  forwards:\n" + wrong + "    odd: {at: *a}\n  routes: 1\n"
    text = text.replace("*a", "[]")
    problems = SpecProblems()
    assert not parts_of(text, "gw.yaml", problems, least=1, most_wrong=3)
    assert not problems.complete
    line = BASE.count("\n") + 2
    assert sorted(p.position.line for p in problems) == [line, line + 1, line + 2, line + 9, line + 9, line + 10]


def test_a_long_one_is_a_run_and_errors_have_their_places() -> None:
    (part,) = parts_of(BASE + "  forwards:\n" + MANY, "gw.yaml", SpecProblems())
    assert isinstance(part.source, CutDocument)
    assert load_texts({"gw.yaml": BASE + "  forwards:\n" + MANY}).spec.forwards["f399"].to[0].address.version == 4
    wrong = MANY.replace("f300: {at: isp-a", "f300: {at: isp-c")
    wrong = wrong.replace("f200: {at: isp-a, ports: 200/tcp", "f200: {at: isp-a, ports: 201/tcp") + "  routes: [{}]\n"
    assert problems_in(BASE + "  forwards:\n" + wrong.replace("  routes: [{}]\n", "")) == [
        ("214:30", "spec.forwards.f201.ports", "203.0.113.2 tcp port 201 is already used by forward 'f200'", TAKEN),
        ("313:16", "spec.forwards.f300.at", "there is no uplink 'isp-c'", "did you mean 'isp-b'?"),
    ]
    assert [(where, path) for where, path, *_ in problems_in(BASE + "  forwards:\n" + wrong)] == [
        ("214:30", "spec.forwards.f201.ports"),
        ("313:16", "spec.forwards.f300.at"),
        ("413:12", "spec.routes[0].name"),
        ("413:12", "spec.routes[0].via"),
    ]
    assert problems_in(BASE + "  forwards:\n" + MANY + "    f7: {to: 192.168.1.1}\n") == [
        ("413:5", "", "'f7' is already defined at gw.yaml:20:5", "keep one of them, or rename one")
    ]


def test_long_ones_of_an_unknown_section_are_runs_as_well() -> None:
    """However many entries are under a name that is misspelt, they are read as fast as under the right one."""
    text = BASE + "  forwads:\n" + MANY + "  routes: [{}]\n"
    _, rest, runs = cut(text, LANGUAGE.bulk, known=LANGUAGE.attributes)
    assert [(run.section, len(run.entries)) for run in runs.values()] == [("forwads", 399)]
    assert "192.168.1.1}" not in rest
    assert problems_in(text) == [
        ("13:3", "spec.forwads", "there is no field 'forwads'", "did you mean 'forwards'?"),
        ("413:12", "spec.routes[0].name", "name is missing", "add `name: ...` here"),
        ("413:12", "spec.routes[0].via", "via is missing", "add `via: ...` here"),
    ]


def test_letters_of_several_bytes_move_no_place() -> None:
    before = BASE.replace("spec:\n", "spec:  # Übergang, 上海\n") + "  forwards:\n    # größer: 東京\n"
    wrong = MANY.replace("f399: {at: isp-a", "f399: {at: isp-c")
    assert problems_in(before + wrong.replace("f9: ", "# ä\n    f9: ")) == [
        ("414:16", "spec.forwards.f399.at", "there is no uplink 'isp-c'", "did you mean 'isp-b'?")
    ]
