"""A spec, and a simulated world in which the loop follows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.daemon.world import World


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text("a: 1\n")
    os.utime(file, (1, 1))
    return file


@pytest.fixture
def world(spec: Path) -> Iterator[World]:
    made = World(spec.parent)
    yield made
    made.events.close()
