"""`--regen` writes the expected files again; read the diff before you commit it."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regen", action="store_true", help="write the expected files of tests/golden again")


@pytest.fixture
def regen(request: pytest.FixtureRequest) -> bool:
    # The option is known only when tests/golden is named on the command line.
    return bool(request.config.getoption("--regen", default=False))
