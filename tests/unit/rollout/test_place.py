"""Records of network namespaces that are gone do not stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.rollout.place import VARIABLE, boot_id, sweep


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for name in ("netns-00000000-7", f"netns-{boot_id()[:8]}-7", f"netns-{boot_id()[:8]}-8", "git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.sqlite").touch()
    return tmp_path


def names(state: Path) -> set[str]:
    return {path.name for path in state.iterdir()}


def test_records_of_namespaces_that_are_gone_are_removed(state: Path) -> None:
    sweep(lambda: {8})
    assert names(state) == {f"netns-{boot_id()[:8]}-8", "git"}


def test_where_it_is_not_known_which_are_gone_those_of_this_boot_stay(state: Path) -> None:
    def hidden() -> set[int]:
        raise KernelError("processes of others are hidden")

    sweep(hidden)
    assert names(state) == {f"netns-{boot_id()[:8]}-7", f"netns-{boot_id()[:8]}-8", "git"}
