"""Which spec is good, bad, pending."""

from __future__ import annotations

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from nvi_operator.sources.fingerprint import Fingerprint
from nvi_operator.sources.state import LONGEST_SAVE, PATIENCE, SpecState

TEXT = b"""
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks: { isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true } }
"""
WRONG = SpecError([])


def spec() -> LoadedSpec:
    return load_texts({"edge.yaml": TEXT})


def at(size: int) -> Fingerprint:
    return Fingerprint(frozenset({("edge.yaml", (size,))}))


def test_before_the_first_good_spec_the_error_of_the_newest_is_what_there_is() -> None:
    with pytest.raises(SpecError) as raised:
        SpecState().refused(WRONG).in_force()
    assert raised.value is WRONG


def test_the_last_good_spec_stays_in_force_while_a_newer_one_is_wrong() -> None:
    good = spec()
    state = SpecState().loaded(good).refused(WRONG)
    assert (state.in_force(), state.bad) == (good, WRONG)


def test_a_good_spec_ends_the_error_of_the_one_before() -> None:
    state = SpecState().loaded(spec()).refused(WRONG)
    newer = spec()
    assert state.loaded(newer) == SpecState(good=newer)


def test_a_save_in_progress_changes_neither_good_nor_bad() -> None:
    state = SpecState().loaded(spec()).refused(WRONG)
    saving = state.saving(at(1), ("edge.yaml",), 5.0)
    assert (saving.good, saving.bad) == (state.good, state.bad)
    assert saving.pending is not None
    assert saving.pending.files == ("edge.yaml",)
    assert saving.saved() == state


def test_patience_begins_again_with_each_write_until_the_save_takes_too_long() -> None:
    state = SpecState().saving(at(1), ("edge.yaml",), 0.0)
    assert state.pending is not None
    assert not state.pending.is_overdue(PATIENCE - 0.1)
    assert state.pending.is_overdue(PATIENCE)
    same = state.saving(at(1), ("edge.yaml",), PATIENCE)
    assert same.pending is not None
    assert same.pending.is_overdue(PATIENCE)
    written = state.saving(at(2), ("edge.yaml",), PATIENCE - 0.1)
    assert written.pending is not None
    assert not written.pending.is_overdue(PATIENCE)
    for size in range(3, 3 + int(LONGEST_SAVE)):
        written = written.saving(at(size), ("edge.yaml",), float(size))
    assert written.pending is not None
    assert written.pending.is_overdue(LONGEST_SAVE)
