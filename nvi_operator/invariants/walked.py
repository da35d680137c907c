"""The checks that walk packets: the invariants of ways, and the assertions of the spec."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.invariants.assertions import check_assertions
from nvi_operator.invariants.catalogue import ARRIVE, LOOP, OWN_UPLINK, UNTRANSLATED
from nvi_operator.invariants.classes import Classes
from nvi_operator.invariants.forwards import forwards_arrive
from nvi_operator.invariants.gateway import ResolvedGateway
from nvi_operator.invariants.result import InvariantResult
from nvi_operator.invariants.ways import no_loop, nothing_leaves_untranslated, sources_keep_to_their_uplink


def walked(gateway: ResolvedGateway) -> Iterator[InvariantResult]:
    classes = Classes(gateway)
    for invariant, checked in (
        (UNTRANSLATED, nothing_leaves_untranslated),
        (OWN_UPLINK, sources_keep_to_their_uplink),
        (ARRIVE, forwards_arrive),
        (LOOP, no_loop),
    ):
        yield invariant.result(checked(classes))
    yield from check_assertions(classes)
