"""A pytest plugin (`-p tests.vm.plugin`): tells the guest's program what was collected, and how each phase of a test
ended and how long it took."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest


def _tell(**record: Any) -> None:
    os.write(int(os.environ["NVI_REPORT"]), json.dumps(record).encode() + b"\n")


def pytest_collection_finish(session: pytest.Session) -> None:
    _tell(collected=len(session.items))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _tell(
        test=report.nodeid,
        when=report.when,
        outcome=report.outcome,
        seconds=round(report.duration, 1),
        detail=report.longreprtext[-4000:] if report.failed else "",
    )
