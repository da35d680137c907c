"""The rules that need the whole gateway. Each yields (path, what is wrong, what to do); all of them are run.

The rules themselves are in the other files of this folder, by section. A new one is added to `_RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from nvi_operator.language.check.address_sets import check_address_sets
from nvi_operator.language.check.addresses import Problem
from nvi_operator.language.check.assertions import check_assertions
from nvi_operator.language.check.forwards import check_forwards
from nvi_operator.language.check.health import check_health
from nvi_operator.language.check.own import check_own
from nvi_operator.language.check.packet_fields import check_packet_fields
from nvi_operator.language.check.port_claims import Claims
from nvi_operator.language.check.prefixes import check_prefixes
from nvi_operator.language.check.redirects import check_redirects
from nvi_operator.language.check.references import check_references
from nvi_operator.language.check.translations import check_routes, check_source_nat, check_static, check_twice_nat
from nvi_operator.language.check.uplinks import (
    check_announced,
    check_default,
    check_interfaces,
    check_uplinks,
    check_virtual,
)
from nvi_operator.language.model.gateway import GatewaySpec

_RULES: tuple[Callable[[GatewaySpec], Iterator[Problem]], ...] = (
    check_address_sets,
    check_interfaces,
    check_uplinks,
    check_announced,
    check_virtual,
    check_health,
    check_default,
    check_source_nat,
    check_redirects,
    check_prefixes,
    check_static,
    check_twice_nat,
    check_routes,
    check_own,
    check_packet_fields,
    check_assertions,
)


NONE_DISABLED: Mapping[str, Collection[str]] = {}


def check(
    spec: GatewaySpec, claims: Claims | None = None, disabled: Mapping[str, Collection[str]] = NONE_DISABLED
) -> list[Problem]:
    """Every problem of a spec whose parts are each valid. The ports that its forwards claim are added to `claims`.

    `disabled` are entries that are not in the spec, by section: for hints.
    """
    if not spec.interfaces and not spec.uplinks:
        message = "there is nothing to do: no interfaces and no uplinks"
        return [(("spec",), message, "add spec.uplinks and spec.interfaces")]
    found = list(check_references(spec, disabled))
    found += [problem for rule in _RULES for problem in rule(spec)]
    return found + list(check_forwards(spec, Claims() if claims is None else claims))
