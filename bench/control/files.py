"""Writes what the contestants read, in the namespace of a host that is still no gateway: `files:write` as a job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.control import inputs, ours
from bench.control.trial import Given, Meter, timed
from nvi_operator.nft.transaction import transaction
from nvi_operator.state.nft import Table


@contextmanager
def write(given: Given) -> Iterator[Meter]:
    yield Meter(timed(lambda: _write(given)))


def _write(given: Given) -> None:
    listed = list(inputs.entries(given.size))
    texts = {
        "yaml/gateway.yaml": inputs.yaml(listed),
        "csv/gateway.yaml": inputs.yaml_beside("forwards.csv"),
        "csv/forwards.csv": inputs.csv(listed),
        "gateway.ferm": inputs.ferm(listed),
    }
    for name, text in texts.items():
        path = given.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    loaded = ours.load(given.files / "yaml")
    (table,) = (obj for _, obj in ours.desired(loaded, ours.facts_for(loaded)))
    assert isinstance(table, Table)
    (given.files / "table.nft").write_text(transaction(None, table), encoding="utf-8")
