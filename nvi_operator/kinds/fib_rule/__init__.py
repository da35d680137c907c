"""FIB rules (`ip rule`): who is steered into stage 1, and how stage 2 finds its way.

Few of them, because every packet passes them twice. docs/architecture.md has the table, docs/adr/0004 the reasons
for its order.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.kind import Kind, Phase, command
from nvi_operator.kinds.fib_rule.own import own_rules
from nvi_operator.kinds.fib_rule.stage_1 import steering_rules
from nvi_operator.kinds.fib_rule.stage_2 import backstop, before_main, stage_2
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import MAIN


def _desired(topology: Topology) -> Iterator[FibRule]:
    for family in topology.families:
        yield from steering_rules(topology, family)
        yield from before_main(topology, family)
        yield from stage_2(topology, family)
        yield from (rule for rule, _ in own_rules(topology, family))
        yield from backstop(topology, family)


def _phase(rule: FibRule) -> Phase:
    """Where the gateway's own packets go on comes first of all: they never lose their way.

    Then what refuses, and what steers into the device; rules that lead out come last.
    """
    asks_for_no_stage_bit = rule.mark is not None and rule.mark != rule.mask and rule.iif != "lo"
    if asks_for_no_stage_bit and (rule.action == "goto" or rule.suppress_prefix_length is not None):
        return Phase.ROUTES  # past the device
    if rule.action == "nop" or rule.table == MAIN:
        return Phase.UNREACHABLE
    steers = rule.mark == 0 or rule.iif == "lo"
    return Phase.ROUTES if rule.action == "lookup" and not steers else Phase.BACKSTOP


def _script(rule: FibRule, topology: Topology) -> Iterator[str]:
    yield command("ip", f"-{rule.family}", "rule", "add", *str(rule).split(), "protocol", topology.protocol)


FIB_RULE = Kind(
    "fib-rule",
    FibRule,
    "ip rule",
    _desired,
    phase=_phase,
    describe=lambda rule: f"-{rule.family} {rule}",
    noun="ip rule",
    script=_script,
    within=lambda rule: rule.priority + (2**32 if rule.action == "goto" else 0),  # behind their targets
)
