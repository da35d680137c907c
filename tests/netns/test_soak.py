"""A daemon that runs for months: what edits, heals and failovers leave in memory. `make soak`: 10,000 of each"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.lab import Site
from tests.netns.scenarios import spec
from tests.netns.soak import first

pytestmark = pytest.mark.netns

GROWTH = 1.10  # of what is resident after the first of them
# Objects, of each reconcile after them: a short soak tells a leak by these long before it shows in the other.
KEPT = 1
# Objects of one more table: the live table is one with the desired one, or a copy, as it was last read.
COPY = 1000


def test_edits_heals_and_failovers_leave_nothing_behind(
    site: Site, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    count = int(request.config.getoption("--soak"))
    (tmp_path / "gateway.yaml").write_text(spec())
    site.far.serve(443)
    done = site.gateway.run(
        sys.executable, "-m", "tests.netns.soak", str(tmp_path), *[f"{count}"] * 3, timeout=6 * count
    )
    early = first(count)
    for what, ((small, few), (large, many)) in json.loads(done.stdout).items():
        assert large <= GROWTH * small, f"{what}: {small} KiB after {early}, {large} KiB after {count}"
        kept = many - few
        assert kept <= KEPT * (count - early) + COPY, f"{what}: {few} objects after {early}, {many} after {count}"
