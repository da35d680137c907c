"""Our side of the jobs, through the seams that the program itself is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.control import inputs
from bench.control.inputs import GATEWAY
from bench.control.trial import Given, Meter, timed
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.load.loader import LoadedSpec, load_directory, load_texts
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Plan
from nvi_operator.plan.compile import desired_state
from nvi_operator.plan.diff import plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.ruleset.table import TABLE
from nvi_operator.state.host import HostState
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve

_EMPTY = HostState()


def of_table(state: HostState) -> HostState:
    """The nftables table alone."""
    return HostState.of((ref.kind, obj) for ref, obj in state if ref.kind == NftTableDriver.kind)


def desired(loaded: LoadedSpec, facts: Facts) -> HostState:
    """The desired state of nftables, as if the device were there."""
    return of_table(Compiler(loaded.name, loaded.spec).meaning(facts)[1])


def facts_for(loaded: LoadedSpec) -> Facts:
    with Kernel(loaded.spec.numbers) as kernel:
        return assume_missing(loaded.spec, kernel.facts())


def load(directory: Path) -> LoadedSpec:
    return load_directory(directory, gateway=GATEWAY)


def apply(driver: NftTableDriver, todo: Plan) -> None:
    for change in todo.steps:
        driver.apply(change)


# --------------------------------------------------------------------------- load


@contextmanager
def load_topology(given: Given) -> Iterator[Meter]:
    """From forwards that are read and resolved: their packing, and the table."""
    loaded = load(given.files / "yaml")
    topology = resolve(loaded.name, loaded.spec, facts_for(loaded))
    with NftTableDriver(TABLE) as driver:
        yield Meter(timed(lambda: apply(driver, plan(_EMPTY, of_table(desired_state(topology))))))


@contextmanager
def load_yaml(given: Given) -> Iterator[Meter]:
    with _load_from(given.files / "yaml") as meter:
        yield meter


@contextmanager
def load_csv(given: Given) -> Iterator[Meter]:
    with _load_from(given.files / "csv") as meter:
        yield meter


@contextmanager
def _load_from(directory: Path) -> Iterator[Meter]:
    """From text: read, validated, resolved, packed and applied."""
    with Kernel(Numbers()) as kernel:
        facts = kernel.facts()
    with NftTableDriver(TABLE) as driver:

        def work() -> None:
            loaded = load(directory)
            apply(driver, plan(_EMPTY, desired(loaded, assume_missing(loaded.spec, facts))))

        yield Meter(timed(work))


# --------------------------------------------------------------------------- read, change


@contextmanager
def verify(given: Given) -> Iterator[Meter]:
    """Whoever loaded it, the kernel holds the desired table. AssertionError otherwise."""
    loaded = load(given.files / "yaml")
    expected = desired(loaded, facts_for(loaded))

    def look() -> None:
        with NftTableDriver(TABLE) as driver:
            left = plan(seen(driver, expected), expected)
            assert not left, f"the table differs: {left.steps}"

    yield Meter(timed(look))


@contextmanager
def read(given: Given) -> Iterator[Meter]:
    """Read with nothing remembered, and compared."""
    loaded = load(given.files / "yaml")
    expected = desired(loaded, facts_for(loaded))
    del loaded
    with NftTableDriver(TABLE) as driver:

        def work() -> None:
            assert not plan(seen(driver, expected), expected)

        yield Meter(timed(work))


@contextmanager
def change(given: Given) -> Iterator[Meter]:
    """The change of an entry in a new spec; the table has been seen before. Not timed: the spec."""
    loaded = load(given.files / "yaml")
    facts = facts_for(loaded)
    expected = desired(loaded, facts)
    edits = itertools.count(1)
    with NftTableDriver(TABLE, remember=True) as driver:
        assert not plan(seen(driver, expected), expected)

        todo = Plan((), _EMPTY, _EMPTY)

        def prepare() -> None:
            nonlocal todo
            text = inputs.yaml(inputs.with_edit(given.size, next(edits)))
            new = desired(load_texts({"gateway.yaml": text}), facts)
            todo = plan(seen(driver, new), new)

        yield Meter(timed(lambda: apply(driver, todo)), prepare=prepare)


def seen(driver: NftTableDriver, expected: HostState) -> HostState:
    return HostState.of((driver.kind, table) for table in driver.observe(expected))


def map_of(entry: inputs.Entry) -> str:
    """The map of the table in the kernel that holds a forward."""
    element = ((entry.public, "tcp", entry.port), (entry.server, entry.server_port))
    with NftTableDriver(TABLE) as driver:
        for table in driver.observe(_EMPTY):
            return next(named.name for named in table.sets if element in named.elements)
    raise AssertionError("there is no table")
