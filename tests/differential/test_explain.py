"""What the engine says of packets is what the kernel does: random ones, and cases that once disagreed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path
from random import randrange

import pytest

from tests.differential.case import from_yaml
from tests.differential.generate import draw_case
from tests.differential.run import Disagreement, Tally, disagreement, run
from tests.differential.scene import Stage

pytestmark = pytest.mark.netns

PACKETS, SECONDS, TALKS = int(os.environ.get("NVI_PACKETS", "1500")), 15.0, 60
CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


def test_what_once_disagreed_agrees(stage: Stage) -> None:
    found = {file.name: disagreement(stage, from_yaml(file.read_text(encoding="utf-8"))) for file in CASES}
    assert {name: text for name, text in found.items() if text} == {}


def test_random_packets_go_as_predicted(stage: Stage) -> None:
    """So many packets, or so many seconds of a busy machine; `make differential` takes as long as it takes."""
    seed, end = randrange(1 << 31), time.monotonic() + SECONDS
    print(f"seed {seed}")
    tally, found = Tally(), list[Disagreement]()

    def disagreed(one: Disagreement) -> bool:
        found.append(one)
        return False

    numbers = takewhile(lambda number: time.monotonic() < end or not number, count())
    run(stage, (draw_case(seed, number, TALKS) for number in numbers), PACKETS, tally, disagreed)
    print(tally)
    assert not found, f"python -m tests.differential --seed {seed} --talks {TALKS}: {found[0].text}"
