"""What the engine says of packets is what the kernel does: random ones, and cases that once disagreed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count, takewhile
from pathlib import Path

import pytest

from tests.differential.case import from_yaml
from tests.differential.generate import draw_case
from tests.differential.run import Disagreement, Tally, disagreement, run, shows
from tests.differential.scene import Stage

pytestmark = pytest.mark.netns

PACKETS, SECONDS, TALKS = int(os.environ.get("NVI_PACKETS", "1500")), 10.0, 60
SEED = int(
    os.environ.get("NVI_SEED", "4242")
)  # the same packets each time: what a change breaks is due to the change
MOST = 5  # disagreements, before it is enough
CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


def test_what_once_disagreed_agrees(stage: Stage) -> None:
    cases = {file.name: from_yaml(file.read_text(encoding="utf-8")) for file in CASES}
    found = {name: text for name, case in cases.items() if (text := disagreement(stage, case))}
    assert {name: text for name, text in found.items() if shows(stage, cases[name])} == {}


def test_random_packets_go_as_predicted(stage: Stage) -> None:
    """So many packets, or so many seconds of a busy machine; `make differential` takes as long as it takes.

    What does not show again was a matter of time: a host that sends once more, say.
    """
    end = time.monotonic() + SECONDS
    print(f"seed {SEED}")
    tally, found = Tally(), list[Disagreement]()

    def disagreed(one: Disagreement) -> bool:
        found.append(one)
        return len(found) < MOST

    numbers = takewhile(lambda number: time.monotonic() < end or not number, count())
    run(stage, (draw_case(SEED, number, TALKS) for number in numbers), PACKETS, tally, disagreed)
    print(tally)
    lasting = [one.text for one in found if shows(stage, one.case)]
    assert not lasting, f"python -m tests.differential --seed {SEED} --talks {TALKS}: {lasting[0]}"
