"""Foreign rules that write or read the gateway's bits of the packet mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.footprint import Footprint, footprint
from nvi_operator.doctor.hooks import received
from nvi_operator.doctor.mark_bits import ALL, Bits, reads_conntrack, written
from nvi_operator.doctor.packet import mark_match as comparison
from nvi_operator.doctor.remedies import mark_user, spare_command
from nvi_operator.doctor.ruleset import ListedRule
from nvi_operator.doctor.survey import Survey
from nvi_operator.doctor.walk import walk
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.wording import counted


def mark_write(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Rules before routing that clear the stage bit, or set one of the gateway's bits."""
    need = footprint(spec)
    wiped, forged = _of_stage_bit(survey, need)
    for rule, certain in wiped.items():
        yield Finding(
            "problem" if certain else "warning",
            "mark-write",
            f"rule {rule.place} {'sets' if certain else 'may set'} the whole packet mark in stage 2, and so clears "
            f"the stage bit {need.stage:#x}: the device's loop guard drops such packets",
            _spare(survey, rule, need),
        )
    for rule, certain in forged.items():
        yield Finding(
            "problem" if certain else "warning",
            "mark-write",
            f"rule {rule.place} sets the stage bit {need.stage:#x} in stage 1: such packets bypass NAT",
            f"# have that tool use other bits{_owner(_ones(rule))}, or choose another for spec.dataplane.stageBit",
        )
    for rule in _of_local_bit(survey, need):
        if rule not in forged:
            yield Finding(
                "warning",
                "mark-write",
                f"rule {rule.place} sets the local bit {need.local:#x} on the gateway's own packets: they are sent "
                "through NAT",
                f"# have that tool use other bits{_owner(_ones(rule))}, or choose another for "
                "spec.dataplane.localBit",
            )


def _of_stage_bit(survey: Survey, need: Footprint) -> tuple[dict[ListedRule, bool], dict[ListedRule, bool]]:
    """The rules that clear it in stage 2, and those that set it in stage 1; is it certain?"""
    wiped: dict[ListedRule, bool] = {}
    forged: dict[ListedRule, bool] = {}
    stored = _stored_in_connections(survey)
    for chain in survey.ruleset.base_chains("prerouting"):
        for packet in received(chain, need, unknown=True):
            for rule, certain in walk(survey.ruleset, chain, packet).met:
                for value in _written_values(rule):
                    if packet.stage == 2 and reads_conntrack(value):
                        continue
                    if packet.stage == 2 and not (written(value).keep | written(value).ones) & need.stage:
                        wiped[rule] = wiped.get(rule, False) or certain
                    elif packet.stage == 1 and written(value).ones & need.stage:
                        forged[rule] = forged.get(rule, False) or certain
                    elif packet.stage == 1 and any(written(value, mark).ones & need.stage for mark in stored):
                        forged.setdefault(rule, False)
    return wiped, forged


def _stored_in_connections(survey: Survey) -> list[Bits]:
    """What rules make of the connection mark, which others restore to packets."""
    return [
        written(body["value"])
        for rule in survey.ruleset.rules()
        for body in rule.bodies("mangle")
        if body["key"] == {"ct": {"key": "mark"}}
    ]


def _of_local_bit(survey: Survey, need: Footprint) -> Iterable[ListedRule]:
    """The rules that set it on the gateway's own packets, each once."""
    return dict.fromkeys(
        rule
        for chain in survey.ruleset.base_chains("output")
        for packet in received(chain, need, unknown=True)
        if packet.stage != 2
        for rule, _ in walk(survey.ruleset, chain, packet).met
        if _ones(rule) & need.local
    )


def _written_values(rule: ListedRule) -> list[object]:
    return [body["value"] for body in rule.bodies("mangle") if body["key"] == {"meta": {"key": "mark"}}]


def _ones(rule: ListedRule) -> int:
    ones = 0
    for value in _written_values(rule):
        ones |= written(value).ones
    return ones


def _spare(survey: Survey, rule: ListedRule, need: Footprint) -> str:
    lines = [spare_command(survey.ruleset, rule, need)]
    values = [v for v in _written_values(rule) if isinstance(v, int)]
    own_bits = need.stage | need.local
    if values and lines[0].startswith("nft"):
        lines.append(f"# or in that rule: meta mark set meta mark & {own_bits:#010x} | {values[0]:#010x}")
    elif values:
        lines.append(f"# or in that rule: -j MARK --set-xmark {values[0]:#x}/{ALL & ~own_bits:#x}")
    return "\n".join(lines)


def _owner(mask: int) -> str:
    name = mark_user(mask) if mask else ""
    return f" (it looks like {name})" if name else ""


def mark_match(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Rules that read a field of the mark that contains one of the gateway's bits."""
    need = footprint(spec)
    found: dict[tuple[str, str, int], list[ListedRule]] = {}
    for rule in survey.ruleset.rules():
        for body in rule.bodies("match"):
            compared = comparison(body["left"], body["right"])
            if compared and _clashes(*compared, need):
                found.setdefault((rule.family, rule.table, compared[0]), []).append(rule)
    for (family, table, mask), rules in found.items():
        yield Finding(
            "warning",
            "mark-match",
            f"table {family} {table} reads the packet mark by mask {mask:#010x}{_owner(mask)} in "
            f"{counted(len(rules), 'rule')}, the first is {rules[0].place}: "
            f"the mask contains the gateway's bits {mask & need.marks:#010x}",
            _other_bits(mask),
        )


def mark_rule(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Foreign FIB rules that read a field of the mark that contains one of the gateway's bits."""
    need = footprint(spec)
    for rule in survey.rules:
        if rule.protocol == need.protocol or rule.mark is None or rule.mask is None:
            continue
        if _clashes(rule.mask, rule.mark, need):
            yield Finding(
                "warning",
                "mark-rule",
                f"{rule.command}: {rule}: reads the packet mark by mask {rule.mask:#010x}{_owner(rule.mask)}: the "
                f"mask contains the gateway's bits {rule.mask & need.marks:#010x}",
                _other_bits(rule.mask),
            )
        elif need.keep_marks and rule.mask == ALL:
            yield Finding(
                "warning",
                "mark-rule",
                f"{rule.command}: {rule}: compares the whole mark; with keepMarks this contains the stage bit, and "
                "the rule never matches in stage 2",
                f"{rule.command} add {str(rule).replace(f'fwmark {rule.mark:#x}', _masked(rule.mark, need))}\n"
                f"{rule.command} del {rule}",
            )


def _masked(mark: int, need: Footprint) -> str:
    return f"fwmark {mark:#x}/{ALL & ~need.stage:#x}"


def _clashes(mask: int, value: int, need: Footprint) -> bool:
    """Harmless: comparing the whole mark with a value without the gateway's bits, and reading only these bits."""
    if not mask & need.marks or mask & ~(need.stage | need.local) == 0:
        return False
    return mask != ALL or bool(value & need.marks)


def _other_bits(mask: int) -> str:
    """Names the spec's fields that move the gateway's bits out of the way."""
    free = [bit for bit in range(31, 15, -1) if not mask & 1 << bit]
    if mask == ALL or len(free) < 2:
        return "# have that tool use bits below 0x10000: the gateway's have to lie above"
    return f"# in the spec: dataplane: {{stageBit: {free[0]}, localBit: {free[1]}}}; or have that tool use other bits"
