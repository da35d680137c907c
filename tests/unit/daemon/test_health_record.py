"""What was down when a daemon ended is down for the next one, by the same probes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.daemon.health_state import HealthState
from nvi_operator.daemon.probes.prober import Prober
from nvi_operator.daemon.probes.record import HealthRecord
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.health import Health
from nvi_operator.topology.health import Server, declared

SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks:
    isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true, health: [192.0.2.80] }
    isp-b: { interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2 }
  forwards: { web: { ports: 443/tcp, to: [192.168.1.80, 192.168.1.81], health: tcp } }
"""
WEB = Server("web", "192.168.1.81")


def recorded(directory: Path) -> HealthRecord:
    """By a daemon that saw isp-a and a server fail."""
    record = HealthRecord(1, pytest.fail, directory)
    downs = {}
    spec = load_texts({"edge.yaml": SPEC}).spec
    for name in ("isp-a", WEB, Server("web", "192.168.1.80")):
        health = declared(spec, name)
        assert health is not None
        state = record_state(health) if name in ("isp-a", WEB) else HealthState.initial(health, 900.0)
        downs[name] = (state, health)
    record.write(downs)
    return record


def record_state(health: Health) -> HealthState:
    return replace(HealthState.initial(health, 900.0), state="down", reason="no answer")


def restored(directory: Path, text: str = SPEC) -> set[object]:
    prober = Prober(now=lambda: 1000.0, day=lambda: 5000.0, record=HealthRecord(1, pytest.fail, directory))
    prober.restore(load_texts({"edge.yaml": text}).spec)
    prober.close()
    found = {**prober.health.uplinks, **prober.health.servers}
    assert all((state.state, state.since, state.reason) == ("down", 4900.0, "no answer") for state in found.values())
    return set(found)


def test_uplinks_and_servers_are_down_since_they_were(tmp_path: Path) -> None:
    recorded(tmp_path)
    assert restored(tmp_path) == {"isp-a", WEB}


def test_other_probes_have_said_nothing_yet(tmp_path: Path) -> None:
    recorded(tmp_path)
    assert restored(tmp_path, SPEC.replace("[192.0.2.80]", "[192.0.2.81]")) == {WEB}


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", '[{"name": "isp-a"}]', '[{"name": ["web"], "since": "x"}]'])
def test_a_damaged_record_counts_as_nothing(tmp_path: Path, text: str) -> None:
    recorded(tmp_path)
    (tmp_path / "health-1.json").write_text(text)
    assert restored(tmp_path) == set()


def test_a_record_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "health-1.json").mkdir()
    record = HealthRecord(1, said.append, tmp_path)
    health = declared(load_texts({"edge.yaml": SPEC}).spec, "isp-a")
    assert health is not None
    for _ in range(2):
        record.write({"isp-a": (record_state(health), health)})
    (text,) = said
    assert text.startswith(f"{tmp_path}/health-1.json: recording which probes fail: ")
