"""Tests of nvi.ko. They need the module, and kernels with VRF, GRE and the like: see tests/vm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dataplane.bench import Bench, bench, working
from tests.dataplane.conftest import gateway, lab
from tests.lab.dataplanes import dataplanes

__all__ = ["gateway", "lab"]

if "kmod" not in dataplanes():
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def kmod() -> Iterator[Bench]:
    """A gateway with a device of kind nvi, without an nft table."""
    with bench("kmod") as made:
        yield made


@pytest.fixture
def translating() -> Iterator[Bench]:
    """A gateway with a device of kind nvi that translates."""
    with working("mark", "kmod") as made:
        yield made


@pytest.fixture(scope="module")
def _caching() -> Iterator[Bench]:
    with working("mark", "kmod") as made:
        yield made


@pytest.fixture
def caching(_caching: Bench) -> Iterator[Bench]:
    """A gateway that translates, with a flow cache; the tests of a module share it. Cache and counters are new."""
    _caching.set_attributes(flow_cache=1)
    yield _caching
    _caching.set_attributes(flow_cache=0)
    _caching.gateway.run("conntrack -F")
