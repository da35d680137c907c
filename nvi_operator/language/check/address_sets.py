"""The rules for names of address sets."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.language.check.addresses import Problem
from nvi_operator.language.model.address_sets import WORDS
from nvi_operator.language.model.gateway import GatewaySpec


def check_address_sets(spec: GatewaySpec) -> Iterator[Problem]:
    """None has a name that means something by itself where addresses stand."""
    for name in spec.address_sets:
        if name in WORDS:
            yield ("spec", "addressSets", name), f"{name!r} means something else in a spec", "give it another name"
