"""A repository to follow, and where its trees are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.sources.git.checkouts import Checkouts
from tests.lab.remote import GitRemote


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    return GitRemote(tmp_path)


@pytest.fixture
def checkouts(tmp_path: Path) -> Checkouts:
    found = Checkouts(tmp_path / "state")
    found.prepare()
    return found
