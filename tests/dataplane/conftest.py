"""A gateway of three namespaces, with each dataplane that the machine offers in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nvi_operator.kernel.bpf.attach import preferred
from tests.dataplane.bench import Bench, bench, working
from tests.lab.dataplanes import IN_INTERFACES, dataplanes

if preferred() != "tcx":
    collect_ignore = ["test_tcx.py"]


@pytest.fixture(params=dataplanes())
def lab(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Without table, and without a program or attributes."""
    with bench(request.param) as made:
        yield made


@pytest.fixture(params=[(dataplane, source) for dataplane in dataplanes() for source in IN_INTERFACES], ids="-".join)
def gateway(request: pytest.FixtureRequest) -> Iterator[Bench]:
    dataplane, source = request.param
    with working(source, dataplane) as made:
        yield made


@pytest.fixture(params=dataplanes())
def marked(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with working("mark", request.param) as made:
        yield made
