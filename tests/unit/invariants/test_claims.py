"""An address that one source was promised is given to no other."""

from __future__ import annotations

from nvi_operator.invariants.claims import claimed_twice
from tests.unit.invariants.gateways import gateway

POOL = "{name: one, from: 192.168.1.0/29, as: {pool: 203.0.113.16/29, overload: false}}"


def claims(text: str) -> list[str]:
    return [finding.message for finding in claimed_twice(gateway(text))]


def test_two_pools_of_single_addresses_do_not_share_one() -> None:
    other = "{name: two, from: 192.168.1.8/29, as: {pool: 203.0.113.16/29, overload: false}}"
    (found,) = claimed_twice(gateway(f"  sourceNat:\n    - {POOL}\n    - {other}\n"))
    assert (found.path, found.others) == (("spec", "sourceNat", 1, "as"), (("spec", "sourceNat", 0),))
    assert found.packet is not None


def test_nor_does_one_to_one_nat_or_a_pool_for_many_take_one() -> None:
    static = "  static: {host: {address: 192.168.1.80, as: 203.0.113.17}}\n"
    assert claims(f"{static}  sourceNat:\n    - {POOL}\n") == [
        "sourceNat 'one' gives each source an address of its own (overload: false), and static 'host' gives some of "
        "these addresses to others"
    ]
    assert claims(f"  sourceNat:\n    - {POOL}\n    - {{name: all, as: 203.0.113.20}}\n")
    assert not claims(f"  sourceNat:\n    - {POOL}\n    - {{name: all, as: [203.0.113.24/29, 203.0.113.2]}}\n")


def test_a_pool_for_many_may_hold_addresses_of_others() -> None:
    static = "  static: {host: {address: 192.168.1.80, as: 203.0.113.17}}\n"
    assert not claims(f"{static}  sourceNat:\n    - {{name: all, as: 203.0.113.16/28}}\n")
