"""Every foreign change to an owned object is seen, named, and healed by the next reconcile."""

from __future__ import annotations

import pytest

from nvi_operator.view.drift import drift_class, drift_lines
from tests.contract.drifts import DEVICE_DRIFTS, ROUTING_DRIFTS
from tests.contract.machines import Drift, Machine, applied, seen, spec_of
from tests.contract.nft_drifts import NFT_DRIFTS

SPEC = spec_of("""
  interfaces:
    lan0: { networks: [192.168.1.0/24, 192.168.7.0/24, "fd00:1::/64"] }
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
      default: true
    isp-b:
      interface: wan1
      nextHop: [198.51.100.1, 2001:db8:b::1]
      addresses: [198.51.100.2, 2001:db8:b::2]
  sourceNat:
    - { name: everyone, as: isp-a }
  forwards:
    dns: { at: isp-b, ports: 53/udp, to: 192.168.1.80 }
""")


@pytest.mark.parametrize("drift", [*NFT_DRIFTS, *ROUTING_DRIFTS, *DEVICE_DRIFTS], ids=str)
def test_drift_is_seen_by_its_class_and_healed(machine: Machine, drift: Drift) -> None:
    applied(machine, SPEC)
    before = seen(machine, SPEC).before
    machine.disturb(drift)
    drifted = seen(machine, SPEC)
    assert {(drift_class(change), change.ref.kind) for change in drifted.steps} == drift.shows
    assert list(drift_lines(drifted)), "and it can be shown"
    applied(machine, SPEC)
    assert not seen(machine, SPEC)
    assert seen(machine, SPEC).before == before


@pytest.mark.parametrize("drift", [*NFT_DRIFTS, *ROUTING_DRIFTS, *DEVICE_DRIFTS], ids=str)
def test_down_removes_everything_after_any_drift(machine: Machine, drift: Drift) -> None:
    applied(machine, SPEC)
    machine.disturb(drift)
    applied(machine, None)
    assert machine.owned() == []
