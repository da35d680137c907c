"""The probes of a spec are edited while they run: what is known of uplinks stays, as far as the same is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nvi_operator.daemon.probes.prober import Probed, Prober
from nvi_operator.daemon.probes.record import HealthRecord
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.health import Health
from nvi_operator.topology.health import declared
from tests.unit.daemon.test_health_record import SPEC

ASKED = ["192.0.2.80", "198.51.100.53"]


def health(*probes: str, **fields: object) -> Health:
    return Health.model_validate({"probes": probes or ASKED, "down": 2, **fields})


class Uplinks:
    """isp-a and isp-b, which have no address: no probe of them is answered. Time passes by `later` only."""

    def __init__(self, record: HealthRecord | None = None) -> None:
        self.time = 1000.0
        self.changes = 0
        self.prober = Prober(self._changed, now=lambda: self.time, day=lambda: 4000 + self.time, record=record)

    def _changed(self) -> None:
        self.changes += 1

    def follow(self, **uplinks: Health) -> None:
        self.prober.follow({name.replace("_", "-"): Probed(health, {}) for name, health in uplinks.items()})

    def later(self, seconds: int) -> None:
        for _ in range(seconds):
            self.time += 1
            self.prober.step()

    def states(self) -> dict[str, tuple[str, float]]:
        return {name: (state.state, state.since) for name, state in self.prober.health.uplinks.items()}


@pytest.fixture
def uplinks() -> Iterator[Uplinks]:
    """isp-a is down since 5003."""
    made = Uplinks()
    made.follow(isp_a=health())
    made.later(3)
    assert made.states() == {"isp-a": ("down", 5003.0)}
    assert made.changes == 1
    yield made
    made.prober.close()


@pytest.mark.parametrize(
    "edited",
    [
        health(interval=2),
        health(up=2, holdDown=100),
        health(*ASKED, "203.0.113.53"),
        health("203.0.113.53"),
        health(maxLoss=50, window=5),
    ],
)
def test_an_edit_of_the_probes_of_an_uplink_that_is_down_moves_no_flow_to_it(
    uplinks: Uplinks, edited: Health
) -> None:
    uplinks.follow(isp_a=edited, isp_b=health())
    assert uplinks.states() == {"isp-a": ("down", 5003.0), "isp-b": ("unknown", 5003.0)}
    assert uplinks.changes == 1


def test_a_target_that_is_asked_as_before_keeps_what_is_known_of_it(uplinks: Uplinks) -> None:
    uplinks.follow(isp_a=health("203.0.113.53", ASKED[1], timeout=0.5))
    assert [each["works"] for each in uplinks.prober.told()["uplinks"]["isp-a"]["targets"]] == [None, False]


def test_an_uplink_that_is_asked_nothing_any_more_is_not_held_down(uplinks: Uplinks) -> None:
    uplinks.follow()
    assert uplinks.states() == {}
    assert uplinks.changes == 2, "the gateway takes it at once"


def test_a_restart_after_an_edit_finds_it_down(tmp_path: Path) -> None:
    record = HealthRecord(1, pytest.fail, tmp_path)
    uplinks = Uplinks(record)
    specs = [load_texts({"edge.yaml": SPEC.replace("[192.0.2.80]", f"{{ probes: 192.0.2.80, up: {up} }}")}).spec
             for up in (5, 7)]  # fmt: skip
    for each in specs:
        asked = declared(each, "isp-a")
        assert asked is not None
        uplinks.follow(isp_a=asked)
        uplinks.later(5)
    uplinks.prober.close()
    assert set(record.read(specs[-1])) == {"isp-a"}
