"""A pattern is compiled when it is first used, and is then what the standard library makes of it."""

from __future__ import annotations

import re

import pytest

from nvi_operator.pattern import pattern


def test_it_is_compiled_once_and_not_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    really = re.compile
    monkeypatch.setattr(re, "compile", lambda text, flags: compiled.append(text) or really(text, flags))
    name = pattern(r"([a-z]+)(\d+)", re.IGNORECASE)
    assert (name.pattern, compiled) == (r"([a-z]+)(\d+)", [])
    assert [match.groups() for match in map(name.fullmatch, ("WAN0", "lan12")) if match] == [
        ("WAN", "0"),
        ("lan", "12"),
    ]
    assert compiled == [r"([a-z]+)(\d+)"]
    assert pattern(rb"^kind", re.MULTILINE).search(b"a\nkind: Host")
