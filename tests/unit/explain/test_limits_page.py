"""The page of limits is the enum's."""

from __future__ import annotations

import re
from pathlib import Path

from nvi_operator.explain.limits import Limit

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "explain-limits.md"


def test_the_page_has_each_limit_with_its_sentence_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(limit.name, limit.value) for limit in Limit]
