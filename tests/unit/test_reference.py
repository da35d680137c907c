"""docs/spec.md and docs/operator.md are generated from the models.

To update them: python -m tests.unit.test_reference
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nvi_operator.language.model.base import Entry, Model
from nvi_operator.language.model.sections import LANGUAGE
from tests.unit.reference import operator_text, reference_text

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {"spec.md": reference_text, "operator.md": operator_text}


def models(package: str) -> int:
    """Those whose name begins with an underscore, and Entry, are parts of others."""
    found, todo = set(), Model.__subclasses__()
    while todo:
        found.add(model := todo.pop())
        todo += model.__subclasses__()
    return sum(
        model.__module__.startswith(f"nvi_operator.language.{package}")
        and not model.__name__.startswith("_")
        and model is not Entry
        for model in found
    )


def headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("## ")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_the_models_say(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), "run python -m tests.unit.test_reference"


def test_every_model_has_a_section() -> None:
    found = headings(reference_text())
    assert len(found) == len(set(found)) == models("model") + len(LANGUAGE.bulk) + len(["Entries beside the YAML"])


def test_every_model_of_the_operator_has_a_section() -> None:
    found = headings(operator_text())
    assert len(found) == len(set(found)) == models("operator") + len(["Check, of the spec language"])


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_every_field_has_a_type_in_words(text: Callable[[], str]) -> None:
    rows = [line.split(" | ") for line in text().splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert rows
    assert all(cells[1].strip() for cells in rows)


if __name__ == "__main__":
    for page, text in PAGES.items():
        (DOCS / page).write_text(text(), encoding="utf-8")
