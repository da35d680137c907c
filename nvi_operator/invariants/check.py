"""The checks of a gateway.

Those of walks need the engine, which takes longer to import than a small spec to check: they are in `walked.py`, and
left out where the gateway is plain (`plain.py`).
"""

from __future__ import annotations

from nvi_operator.invariants.catalogue import INVARIANTS
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.plain import is_plain
from nvi_operator.invariants.result import InvariantResult


def check(gateway: ResolvedGateway, *, thorough: bool = False) -> tuple[InvariantResult, ...]:
    """Every invariant, and every assertion. `thorough`: walk it, plain or not."""
    results = {each.name: each.result(each.check(gateway) if each.check else ()) for each in INVARIANTS}
    if thorough or not is_plain(gateway):
        from nvi_operator.invariants.walked import walked

        results |= {result.name: result for result in walked(gateway)}
    return tuple(results.values())
