"""A revision on the command line is one that was kept, or one error."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.cli.revisions import find, number
from nvi_operator.history.revision import Content
from nvi_operator.history.store import History, HistoryError
from tests.unit.history.test_store import TRIED


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "state")


def test_a_number_of_any_length_names_a_revision_or_none(history: History) -> None:
    made = history.add(TRIED, Content("edge", {"gateway.yaml": b""}))
    assert find(history, number("1")) == find(history, number("0" * 30 + "1")) == made
    for wrong in ("2", str(2**63 - 1), str(2**63), "9" * 5000):
        with pytest.raises(HistoryError, match=f"there is no revision {wrong}"):
            find(history, number(wrong))


def test_before_the_first_apply_there_is_no_last_one(history: History) -> None:
    with pytest.raises(HistoryError, match="there is no revision yet") as caught:
        find(history, "last")
    assert "nvictl apply" in caught.value.hint
