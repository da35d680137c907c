"""One law: a spec that was edited in a few lines, and read so, is what reading everything yields; in every stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.errors import SpecError
from nvi_operator.language.fast.fast_yaml import LEAST
from nvi_operator.language.fast.incremental import reload
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.topology.facts import Facts

_HEAD = """apiVersion: nvi-operator/v1
kind: Gateway
metadata: {name: edge}
spec:
  dataplane: {type: bpf}
  interfaces:
    lan: {networks: [10.0.0.0/8, "2001:db8:1::/48"]}
  uplinks:
    isp-a:
      interface: wan-a
      addresses: [198.51.100.2, "2001:db8::2"]
      nextHop: [198.51.100.1, "2001:db8::1"]
      routed: [203.0.113.0/24]
  static:
    alone: {address: 10.0.0.9, as: 203.0.113.250}
"""
_FACTS = Facts("host")
Row = tuple[str, str, str, str]  # name, at, ports, to

# In the place of its ports a forward may have a protocol without.
_PORTLESS = ("gre", "41")
ROWS: Sequence[Row] = tuple(
    (f"f{i}", f"203.0.113.{i % 8}", f"{1000 + i // 8}/tcp", f"10.0.{i % 3}.{1 + i}:80") for i in range(130)
)


def _field(ports: str) -> str:
    return "protocol" if ports in _PORTLESS else "ports"


def _csv(rows: Sequence[Row]) -> dict[str, str]:
    cells = ((n, a, "" if p in _PORTLESS else p, p if p in _PORTLESS else "", t) for n, a, p, t in rows)
    lines = ["# forwards", "name,at,ports,protocol,to", *map(",".join, cells)]
    return {"edge.yaml": _HEAD + "  forwardsFrom: [f.csv]\n", "f.csv": "\n".join(lines) + "\n"}


def _json_lines(rows: Sequence[Row]) -> dict[str, str]:
    lines = [f'{{"name": "{n}", "at": "{a}", "{_field(p)}": "{p}", "to": "{t}"}}' for n, a, p, t in rows]
    return {"edge.yaml": _HEAD + "  forwardsFrom: [f.jsonl]\n", "f.jsonl": "\n".join(lines) + "\n"}


def _yaml(rows: Sequence[Row]) -> dict[str, str]:
    lines = [f'    {n}: {{at: {a}, {_field(p)}: {p}, to: "{t}"}}' for n, a, p, t in rows]
    several = [
        f"    {n}:\n      at: {a}\n      {_field(p)}: {p}\n\n      # to\n      to: {t}" for n, a, p, t in rows[:9]
    ]
    tail = (
        "    odd: {at: isp-a, ports: [1/udp], to: {10.0.0.1: 1, 10.0.0.2: 2}}\n  sourceNat: [{name: x, as: isp-a}]\n"
    )
    return {"edge.yaml": _HEAD + "  forwards:\n" + "\n".join([*several, *lines[9:]]) + "\n" + tail}


def _several_files(rows: Sequence[Row]) -> dict[str, str]:
    """One gateway in several files."""
    first, second = _yaml(rows[:45]), _csv(rows[45:])
    return {
        "a.yaml": first["edge.yaml"],
        "b.yaml": _HEAD.partition("  dataplane:")[0] + "  forwardsFrom: [f.csv]\n",
        "f.csv": second["f.csv"],
    }


def _layered(rows: Sequence[Row]) -> dict[str, str]:
    """With variables, and a host that changes and removes forwards."""
    head, entries = _yaml(rows)["edge.yaml"].split("  forwards:\n")
    host = "  vars: {wan: wan-a}\n  forwards: {odd: null, own: {at: isp-a, ports: 7/tcp, to: 10.0.0.7}}\n"
    return {
        "a.yaml": head.replace("interface: wan-a", "interface: ${wan}"),
        "b.yaml": _HEAD.partition("  dataplane:")[0] + "  forwards:\n" + entries,
        "c.yaml": f"apiVersion: nvi-operator/v1\nkind: Host\nmetadata: {{name: edge}}\nspec:\n{host}",
    }


_FORMS = [_csv, _json_lines, _yaml, _several_files, _layered]

names = st.sampled_from(["f1", "f2", "f50", "f51", "new", "Wrong name", "odd", "own", ""])
publics = st.sampled_from(
    ["203.0.113.1", "203.0.113.200", "isp-a", "2001:db8::2", "192.0.2.1", "203.0.113.250", "isp-x"]
)
ports = st.sampled_from(
    ["1000/tcp", "1001/tcp", "2000/udp", "2000-2009/tcp", "1005-1006/tcp", "http", "gre", "41", ""]
)
servers = st.sampled_from(["10.0.7.7", "10.0.7.7:81", "10.0.8.8:3000", "2001:db8:1::7", "198.51.100.2", "nowhere"])
rows_ = st.tuples(names, publics, ports, servers)


@st.composite
def edits(draw: st.DrawFn) -> Callable[[list[Row]], list[Row]]:
    at, count, come = draw(st.integers(0, 129)), draw(st.integers(0, 3)), draw(st.lists(rows_, max_size=2))
    return lambda rows: [*rows[:at], *come, *rows[at + count :]]


@pytest.mark.parametrize("form", _FORMS)
@given(st.lists(edits(), min_size=1, max_size=4))
def test_an_edit_of_rows_reads_as_everything_would(
    form: Callable[[Sequence[Row]], dict[str, str]], several: list[Callable[[list[Row]], list[Row]]]
) -> None:
    rows, texts = list(ROWS), form(ROWS)
    loaded = load_texts(texts, hostname="edge")
    gateway = _gateway(loaded)
    for edit in several:
        rows = edit(rows)
        before, texts = texts, form(rows)
        followed = _follows(loaded, gateway, before, texts)
        if followed is None:
            return  # a wrong spec is not edited further
        loaded, gateway = followed


@pytest.mark.parametrize("form", _FORMS)
@given(
    st.integers(0, 9000),
    st.integers(0, 40),
    st.sampled_from(["", "\n", "#", " ", "x", ",", "    more: {to: 1}\n", "\r\n", "{", "'"]),
)
def test_an_edit_anywhere_reads_as_everything_would(
    form: Callable[[Sequence[Row]], dict[str, str]], place: int, length: int, come: str
) -> None:
    texts = form(ROWS)
    loaded = load_texts(texts, hostname="edge")
    file = max(texts, key=lambda name: len(texts[name]))
    text = texts[file]
    place %= len(text)
    _follows(loaded, _gateway(loaded), texts, {**texts, file: text[:place] + come + text[place + length :]})


def _gateway(loaded: LoadedSpec) -> Compiler:
    gateway = Compiler(loaded.name, loaded.spec)
    gateway.meaning(_FACTS)
    return gateway


def _follows(
    loaded: LoadedSpec, gateway: Compiler, before: dict[str, str], after: dict[str, str]
) -> tuple[LoadedSpec, Compiler] | None:
    changed = [file for file in after if after[file] != before[file]]
    quick = None
    if len(changed) == 1:
        quick = reload(loaded, changed[0], after[changed[0]].encode())
    try:
        full = load_texts(after, hostname="edge")
    except SpecError:
        assert quick is None
        return None
    if quick is None:
        return full, _gateway(full)
    again, edit = quick
    assert again.spec == full.spec
    assert all(_written(again, name) == _written(full, name) for name in full.spec.forwards)
    now = gateway.after(again.spec, edit)
    assert now.meaning(_FACTS) == _gateway(full).meaning(_FACTS)
    return again, now


def _written(loaded: LoadedSpec, name: str) -> object:
    return [loaded.where.find(("spec", "forwards", name, *field), key=True) for field in ((), ("to",))]


@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize(
    "edit",
    [
        lambda rows: [*rows[:50], ("f50", "203.0.113.2", "1006/tcp", "10.0.99.99:80"), *rows[51:]],
        lambda rows: [*rows[:50], ("f50", "203.0.113.2", "4006/tcp", "10.0.2.51:80"), *rows[51:]],
        lambda rows: [*rows[:50], ("new", "isp-a", "4006/udp", "10.0.2.51"), *rows[50:]],
        lambda rows: [*rows[:50], *rows[52:]],
    ],
    ids=["another server", "another port", "one more", "two less"],
)
def test_a_plain_edit_is_read_by_itself(
    form: Callable[[Sequence[Row]], dict[str, str]], edit: Callable[[Sequence[Row]], Sequence[Row]]
) -> None:
    texts, edited = form(ROWS), form(edit(ROWS))
    if form is _yaml:
        assert len(texts["edge.yaml"]) > LEAST
    loaded = load_texts(texts, hostname="edge")
    gateway = _gateway(loaded)
    file = next(file for file in texts if texts[file] != edited[file])
    found = reload(loaded, file, edited[file].encode())
    assert found is not None
    assert gateway.after(found[0].spec, found[1]).topology, "and the edit compiles it"
