"""Writes what the contestants read, in the namespace of a host that is still no gateway: `files:write` as a job.

The operator makes the nft text from its own table, so that all load the very same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from bench.control import inputs, ours
from bench.control.commands import REVISIONS, STATE
from bench.control.steps import STEPS
from bench.control.trial import Given, Meter, timed
from nvi_operator.history.revision import Content, Requester, Revision, RevisionResult, Standing
from nvi_operator.history.store import History
from nvi_operator.language.load.loader import load_texts
from nvi_operator.nft.ast import Table
from nvi_operator.nft.transaction import transaction
from nvi_operator.rollout.place import VARIABLE, state_directory
from nvi_operator.topology.facts import Facts


@contextmanager
def write(given: Given) -> Iterator[Meter]:
    yield Meter(timed(lambda: _write(given)))


@contextmanager
def revisions(given: Given) -> Iterator[Meter]:
    """For `commands.nvictl_history`: revisions of this network namespace, each with another port."""
    os.environ[VARIABLE] = str(given.files / STATE)
    yield Meter(timed(lambda: _revisions(given)))


def _revisions(given: Given) -> None:
    with History(state_directory()) as history:
        for number in range(REVISIONS):
            text = inputs.yaml(inputs.with_edit(given.size, number)).encode()
            revision = Revision(
                0, 1.0, inputs.GATEWAY, "apply", Requester(0, 1), RevisionResult.APPLIED, Standing.CONFIRMED
            )
            history.add(revision, Content(inputs.GATEWAY, {"gateway.yaml": text}), durable=False)


def _write(given: Given) -> None:
    listed = list(inputs.entries(given.size))
    _file(given, "yaml/gateway.yaml", inputs.yaml(listed))
    _file(given, "csv/gateway.yaml", inputs.yaml_beside("forwards.csv"))
    _file(given, "csv/forwards.csv", inputs.csv(listed))
    _file(given, "gateway.ferm", inputs.ferm(listed))
    if given.size in STEPS["rules"].sizes:
        _file(given, "rules.ip", inputs.ip_rules(given.size))
        _file(given, "routes.ip", inputs.ip_routes(given.size))
    facts = ours.facts_for(ours.load(given.files / "yaml"))
    table = _table(given.size, 0, facts)
    _file(given, "table.nft", transaction(None, table))
    if given.size in STEPS["change"].sizes:
        for number in range(1, STEPS["change"].times + 1):
            before, table = table, _table(given.size, number, facts)
            _file(given, f"change{number}.nft", transaction(before, table))


def _table(count: int, edit: int, facts: Facts) -> Table:
    loaded = load_texts({"gateway.yaml": inputs.yaml(inputs.with_edit(count, edit))})
    (table,) = (obj for _, obj in ours.desired(loaded, facts))
    return cast(Table, table)


def _file(given: Given, name: str, text: str) -> None:
    path = given.files / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
