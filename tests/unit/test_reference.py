"""docs/spec.md is generated from the models. To update it: python -m tests.unit.test_reference"""

from __future__ import annotations

from pathlib import Path

from nvi_operator.language.model.base import Model
from nvi_operator.language.model.sections import LANGUAGE
from nvi_operator.language.reference import reference_text

PAGE = Path(__file__).resolve().parents[2] / "docs/spec.md"


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_text(), "run python -m tests.unit.test_reference"


def test_every_model_has_a_section() -> None:
    models = [model for model in Model.__subclasses__() if model.__module__.startswith("nvi_operator.")]
    headings = [line for line in reference_text().splitlines() if line.startswith("## ")]
    assert len(headings) == len(set(headings)) == len(models) + len(LANGUAGE.bulk) + len(["Entries beside the YAML"])


def test_every_field_has_a_type_in_words() -> None:
    rows = [
        line.split(" | ") for line in reference_text().splitlines() if line.startswith("| `") and line.count("|") == 5
    ]
    assert rows
    assert all(cells[1].strip() for cells in rows)


if __name__ == "__main__":
    PAGE.write_text(reference_text(), encoding="utf-8")
