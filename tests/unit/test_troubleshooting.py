"""docs/troubleshooting.md names what nvictl prints: its counters, findings, messages and commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from nvi_operator.cli import main
from nvi_operator.doctor.checks import CHECKS
from nvi_operator.view import flow_cache
from nvi_operator.view.status_text import MEANINGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/troubleshooting.md"
TEXT = PAGE.read_text(encoding="utf-8")
PLAIN = re.sub(r"^    .*$", "", TEXT, flags=re.M)  # without blocks of commands


def named(word: str) -> set[str]:
    """What stands in backquotes behind `word`, also in a list."""
    lists = re.findall(rf"\b{word}s?:? ((?:`[^`]+`(?: \([^)]*\))?(?:, | and | or |,\n)?)+)", PLAIN)
    return {name for found in lists for name in re.findall(r"`([^`]+)`", re.sub(r"\([^)]*\)", "", found))}


def counter_table() -> list[str]:
    section = re.search(r"^## Packets are dropped.*?(?=^## )", TEXT, re.M | re.S)
    assert section
    cells = re.findall(r"^\| (`[^|]*`) \|", section[0], re.M)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@cache
def printed() -> tuple[str, ...]:
    """The fixed parts of all texts in the code."""
    return tuple(_constants())


def _constants() -> Iterator[str]:
    for file in (ROOT / "nvi_operator").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_its_table_has_every_counter_once() -> None:
    assert sorted(counter_table()) == sorted(MEANINGS)


def test_it_names_counters_that_exist() -> None:
    assert len(named("counter")) > 10
    assert named("counter") <= MEANINGS.keys() | flow_cache.MEANINGS.keys()


def test_it_names_findings_that_exist() -> None:
    topics = {check.topic for check in CHECKS}
    assert len(named("finding")) > 20
    assert named("finding") <= topics


@pytest.mark.parametrize(
    "message", sorted(set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", PLAIN)) - {"counter", "finding"})
)
def test_it_quotes_messages_that_are_printed(message: str) -> None:
    for piece in message.split("…"):
        assert any(piece.strip() in text for text in printed()), piece


@pytest.mark.parametrize("command", sorted(set(re.findall(r"nvictl ([a-z]+)", TEXT))))
def test_its_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"nvictl {command}" in capsys.readouterr().out
