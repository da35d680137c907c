from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest


@pytest.fixture
def name() -> Iterator[str]:
    """A network namespace of its own, with nothing in it."""
    made = f"nvi-test-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", made], check=True)
    yield made
    subprocess.run(["ip", "netns", "del", made], check=True)
