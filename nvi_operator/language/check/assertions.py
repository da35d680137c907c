"""The rules for assertions: what one says of packets has to be possible. Whether it holds is not asked here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.language.check.addresses import Problem, families_of
from nvi_operator.language.check.translations import common_families
from nvi_operator.language.model.assertions import Assertion
from nvi_operator.language.model.gateway import GatewaySpec


def check_assertions(spec: GatewaySpec) -> Iterator[Problem]:
    for number, assertion in enumerate(spec.assert_):
        _, clash = common_families(list(_sides(spec, assertion)))
        if clash:
            name, shown = clash
            path = ("spec", "assert", number, name)
            yield path, f"IPv4 mixed with IPv6: {shown}", "write one assertion for each family"


def _sides(spec: GatewaySpec, assertion: Assertion) -> Iterator[tuple[str, set[int]]]:
    """The families of each side that names addresses and nothing else."""
    sides: tuple[tuple[str, Any], ...] = (
        ("from", assertion.from_),
        ("at", assertion.at),
        ("to", assertion.to),
        ("reaches", assertion.reaches),
        ("as", assertion.as_),
    )
    for name, values in sides:
        if isinstance(values, tuple):
            versions = [_versions(spec, value) for value in values]
            if all(versions):
                yield name, set().union(*versions)


def _versions(spec: GatewaySpec, value: Any) -> frozenset[int]:
    """The families of an address, a prefix, a range, a server or an uplink; none where a word may be of either."""
    if isinstance(value, str):
        return families_of(spec.uplinks[value]) if value in spec.uplinks else frozenset()
    address = getattr(value, "address", value)
    return frozenset({address.family if hasattr(address, "family") else address.version})
