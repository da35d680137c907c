"""Every test of a machine runs on the fake kernel, and on a real one where there is leave to."""

from __future__ import annotations

import pytest

from tests.contract.machines import FakeMachine, Machine, RealMachine


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.netns)])
def machine(request: pytest.FixtureRequest) -> Machine:
    if request.param == "fake":
        return FakeMachine()
    return RealMachine(request.getfixturevalue("lab"))
