"""Files to one gateway: which files, how documents are merged, which gateway is chosen, how problems are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.language.load.loader import LoadedSpec, load_directory, load_texts
from tests.examples import examples
from tests.unit.language.specs import BASE, HEAD, Reported, load, problems_in

EXAMPLES = sorted(
    path for path in (Path(__file__).parents[3] / "examples").iterdir() if (path / "gateway.yaml").exists()
)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def error_of(root: Path, **options: str) -> tuple[str, str, str]:
    with pytest.raises(SpecError) as caught:
        load_directory(root, **options)
    (problem,) = caught.value.problems
    return str(problem.position), problem.message, problem.hint


# --------------------------------------------------------------------------- files


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_every_example_loads(path: Path) -> None:
    loaded = load_directory(path)
    assert sorted(loaded.files) == sorted(str(file) for file in path.iterdir() if file.name != "README.md")


def test_what_a_stranger_names_a_field_moves_no_cursor(tmp_path: Path) -> None:
    write(tmp_path, {"gw\x1b[2J.yaml": BASE + '  "a\\e[2J\\nb": 1\n'})
    with pytest.raises(SpecError) as caught:
        load_directory(tmp_path)
    assert "gw\\x1b[2J.yaml" in str(caught.value)
    assert "spec.a\\x1b[2J\\nb: there is no field" in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("path", ["gw.yaml", "sub"])
def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    write(tmp_path, {"gw.yaml": BASE, "sub/x.yaml": ""})
    opened = os.open

    def refuse(name: str, *arguments: Any) -> int:
        if name == str(tmp_path / path):
            raise PermissionError(13, "Permission denied", name)
        return opened(name, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    assert error_of(tmp_path) == (
        f"{tmp_path / path}:1:1",
        "cannot be read: Permission denied",
        "let the user that runs this read it",
    )


def test_a_directory_named_like_a_spec_is_a_directory(tmp_path: Path) -> None:
    write(tmp_path, {"gw.yaml/a.yaml": BASE})
    assert load_directory(tmp_path).files == (str(tmp_path / "gw.yaml" / "a.yaml"),)


def test_files_with_nothing_in_them(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "# later\n", "b.yaml": ""})
    assert error_of(tmp_path) == (
        f"{tmp_path}:1:1",
        "there is no document of kind Gateway in it",
        "see `nvictl schema` and examples/",
    )


def test_a_file_is_a_gateway_by_itself_and_a_directory_is_one_of_all_its_files(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": BASE, "b.yaml": HEAD + "spec: {forwards: {w: {at: isp-b, to: 192.168.1.2}}}\n"})
    assert load_directory(tmp_path / "a.yaml").spec.forwards == {}
    assert list(load_directory(tmp_path).spec.forwards) == ["w"]


# --------------------------------------------------------------------------- merging

SNAT = HEAD + "spec:\n  sourceNat:\n"
LINE = "    - {{name: {}, as: isp-a}}\n"


def test_documents_of_one_name_make_one_gateway() -> None:
    loaded = load_texts(
        {
            "1.yaml": BASE + "  forwards:\n    a: {at: isp-b, ports: 1/tcp, to: 192.168.1.1}\n",
            "2.yaml": HEAD + "spec:\n  forwards:\n    b: {at: isp-b, ports: 2/tcp, to: 192.168.1.1}\n",
            "3.yaml": SNAT + LINE.format("x") + "---\n" + SNAT + LINE.format("y") + "  host: any\n",
            "0.yaml": SNAT + LINE.format("w"),
        }
    )
    assert loaded.name == "gw"
    assert list(loaded.spec.forwards) == ["a", "b"]
    assert [line.name for line in loaded.spec.source_nat] == ["w", "x", "y"]
    assert loaded.spec.host == ("any",)
    assert loaded.files == ("0.yaml", "1.yaml", "2.yaml", "3.yaml")
    where = loaded.where
    assert where.find(("spec", "sourceNat", 2, "as")) == Position("3.yaml", 13, 21)
    assert where.find(("spec", "sourceNat", 0)) == Position("0.yaml", 6, 7)
    assert where.find(("spec", "forwards", "b", "to")) == Position("2.yaml", 6, 38)
    assert where.find(("spec", "forwards", "b"), key=True) == Position("2.yaml", 6, 5)
    assert where.find(("spec", "host")) == Position("3.yaml", 14, 9)


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ((), "1.yaml:1:1"),
        (("spec", "forwards", "b", "tenant"), "2.yaml:6:8"),
        (("spec", "forwards", "none"), "2.yaml:6:5"),
        (("spec", "sourceNat", 99), "1.yaml:5:3"),
        (("spec", "dataplane", "device"), "1.yaml:5:3"),
        (("metadata", "name"), "1.yaml:3:18"),
    ],
    ids=["the whole", "field left out", "no such entry", "no such line", "section left out", "metadata"],
)
def test_a_place_falls_back_to_the_nearest_parent(path: tuple[str | int, ...], position: str) -> None:
    loaded = load_texts(
        {"1.yaml": BASE, "2.yaml": HEAD + "spec:\n  forwards:\n    b: {at: isp-b, ports: 2/tcp, to: 192.168.1.1}\n"}
    )
    assert str(loaded.where.find(path)) == position


def test_the_order_of_files_is_that_of_their_names() -> None:
    texts = {"b.yaml": SNAT + LINE.format("b"), "a.yaml": BASE, "c.yaml": SNAT + LINE.format("c")}
    assert load_texts(texts) == load_texts(dict(reversed(texts.items())))


TWICE: dict[str, tuple[str, str, Reported]] = {
    section: (one, other, reported)
    for section, one, other, reported in [
        (
            "forwards",
            "  forwards:\n    web: {at: isp-b, to: 192.168.1.1}\n",
            "  forwards:\n    web:\n      to: 192.168.1.2\n",
            (
                "b.yaml:6:5",
                "spec.forwards.web",
                "forwards 'web' is already defined at a.yaml:14:5",
                "keep one of them, or give one another name",
            ),
        ),
        (
            "uplinks",
            "",
            "  uplinks: {dsl: {interface: ppp1}}\n",
            (
                "b.yaml:5:13",
                "spec.uplinks.dsl",
                "uplinks 'dsl' is already defined at a.yaml:10:5",
                "keep one of them, or give one another name",
            ),
        ),
        (
            "sourceNat",
            "  sourceNat:\n    - {name: x, as: isp-a}\n",
            "  sourceNat:\n    - {name: y, as: isp-a}\n    - {name: x, as: isp-a}\n",
            (
                "b.yaml:7:14",
                "spec.sourceNat[1].name",
                "sourceNat 'x' is already defined at a.yaml:14:14",
                "keep one of them, or give one another name",
            ),
        ),
        (
            "dataplane",
            "  dataplane:\n    hideHop: true\n",
            "  dataplane:\n    keepMarks: true\n",
            (
                "b.yaml:5:3",
                "spec.dataplane",
                "dataplane is already defined at a.yaml:13:3",
                "keep one of them",
            ),
        ),
        (
            "host",
            "  host: any\n",
            "  host: any\n",
            (
                "b.yaml:5:3",
                "spec.host",
                "host is already defined at a.yaml:13:3",
                "keep one of them",
            ),
        ),
    ]
}


@pytest.mark.parametrize(("one", "other", "reported"), TWICE.values(), ids=TWICE)
def test_what_is_defined_twice_is_reported_with_both_places(one: str, other: str, reported: Reported) -> None:
    assert problems_in({"a.yaml": BASE + one, "b.yaml": HEAD + "spec:\n" + other}) == [reported]


def test_two_lines_of_one_name_in_one_document() -> None:
    text = BASE + "  routes:\n    - {name: a, to: 192.0.2.0/24, via: isp-b}\n    - {name: a, in: lan0, via: isp-b}\n"
    assert problems_in(text) == [
        (
            "15:14",
            "spec.routes[1].name",
            "routes 'a' is already defined at gw.yaml:14:14",
            "keep one of them, or give one another name",
        )
    ]


def test_the_same_name_in_another_gateway_is_another_thing() -> None:
    other = BASE.replace("name: gw", "name: other")
    assert load_texts({"a.yaml": BASE, "b.yaml": other}, gateway="gw").spec == load(BASE).spec


# --------------------------------------------------------------------------- which gateway

FLEET = {
    "a.yaml": BASE.replace("name: gw", "name: one") + "  host: [gw1, gw1.example.net]\n",
    "b.yaml": BASE.replace("name: gw", "name: two") + "  host: gw2\n",
}


def chosen(texts: dict[str, str], hostname: str | None = None, gateway: str | None = None) -> LoadedSpec:
    return load_texts(texts, hostname=hostname, gateway=gateway)


@pytest.mark.parametrize(
    ("hostname", "gateway", "name"),
    [("gw1", None, "one"), ("gw1.example.net", None, "one"), ("gw2", None, "two"), ("gw2", "one", "one")],
    ids=["by host", "by long name", "the other", "by name, whatever the host"],
)
def test_the_gateway_of_this_host(hostname: str, gateway: str | None, name: str) -> None:
    assert chosen(FLEET, hostname, gateway).name == name


@pytest.mark.parametrize("host", ["  host: any\n", "  host: [gw9, any]\n", ""], ids=["any", "any of several", "none"])
def test_a_gateway_for_every_host(host: str) -> None:
    assert chosen({"a.yaml": BASE + host}, "gw1").name == "gw"


def test_host_may_stand_in_another_document() -> None:
    texts = {"a.yaml": BASE, "b.yaml": HEAD + "spec: {host: gw1}\n"}
    assert chosen(texts, "gw1").name == "gw"
    with pytest.raises(SpecError, match="no gateway matches host 'gw2'"):
        chosen(texts, "gw2")


NO_CHOICE = {
    "no such gateway": (
        "gw1",
        "three",
        ("a.yaml:3:18", "metadata.name", "there is no gateway 'three' here", "there are: one, two"),
    ),
    "for no such host": (
        "gw9",
        None,
        (
            "a.yaml:3:18",
            "metadata.name",
            "no gateway matches host 'gw9'",
            "add it to spec.host of one, or name one with --gateway, or a host with --host; there are: one, two",
        ),
    ),
    "several": (
        None,
        None,
        (
            "b.yaml:3:18",
            "metadata.name",
            "several gateways match this host: one, two",
            "name one with --gateway, or set spec.host",
        ),
    ),
}


@pytest.mark.parametrize(("hostname", "gateway", "reported"), NO_CHOICE.values(), ids=NO_CHOICE)
def test_no_one_gateway(hostname: str | None, gateway: str | None, reported: Reported) -> None:
    with pytest.raises(SpecError) as caught:
        chosen(FLEET, hostname, gateway)
    (p,) = caught.value.problems
    assert (str(p.position), p.path, p.message, p.hint) == reported


# --------------------------------------------------------------------------- all problems


def test_all_problems_of_all_files_are_told_in_their_order() -> None:
    texts: dict[str, str | bytes] = {
        "c.yaml": BASE.replace("name: gw", "name: c") + "  forward: {}\n",
        "a.yaml": "a: 010\nb: *x\n",
        "b.yaml": b"\xff",
        "d.yaml": HEAD + "spec:\n  host: a\n---\n" + HEAD + "spec:\n  host: b\n",
    }
    assert [reported[0] for reported in problems_in(texts)] == [
        "a.yaml:1:4",
        "a.yaml:2:4",
        "b.yaml:1:1",
        "c.yaml:13:3",
        "d.yaml:11:3",
    ]


def test_a_check_names_the_file_and_the_line_of_a_merged_entry() -> None:
    texts: dict[str, str | bytes] = {
        "a.yaml": BASE + "  sourceNat:\n    - {name: x, as: isp-a}\n",
        "b.yaml": SNAT + LINE.format("y") + "    - {name: z, as: isp-c}\n",
    }
    assert problems_in(texts) == [
        ("b.yaml:7:21", "spec.sourceNat[1].as", "there is no uplink 'isp-c'", "did you mean 'isp-b'?")
    ]


_WORDS = st.sampled_from(
    [
        *("spec", "interfaces", "uplinks", "forwards", "sourceNat", "static", "twiceNat", "routes", "host", "pool"),
        *("dataplane", "name", "as", "to", "at", "from", "in", "via", "ports", "networks", "interface", "becomes"),
        *(
            "lan0",
            "isp-a",
            "192.0.2.1",
            "auto",
            "443/tcp",
            "2001:db8::/32",
            "unchanged",
            "x",
            "22",
            "true",
            "~",
            "010",
        ),
    ]
)
_DATA = st.recursive(
    _WORDS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(_WORDS, inner, max_size=4).map(
            lambda d: f"{{{', '.join(f'{k}: {v}' for k, v in d.items())}}}"
        )
    ),
    max_leaves=12,
)


@given(st.one_of(st.text(), st.binary(), _DATA, _DATA.map(lambda data: HEAD + f"spec: {data}\n")))
@example(HEAD + "spec: {forwards: {x: {to: {}}}}\n")
@example(HEAD + "spec: {twice_nat: {x: {}}}\n")
@example(HEAD + "spec: {uplinks: {x: {interface: lan0, nextHop: {a: 1}}}}\n")
@settings(max_examples=examples(300))
def test_whatever_is_written_only_spec_error_comes_out(text: str | bytes) -> None:
    reported = ""
    problems: tuple[SpecProblem, ...] = ()
    try:
        load(text)
    except SpecError as error:
        reported, problems = str(error), error.problems
    assert bool(reported) == bool(problems)
    assert all(p.message and p.position.line > 0 for p in problems)
    assert not any(word in reported for word in ("pydantic", "Value error", "Input should"))
