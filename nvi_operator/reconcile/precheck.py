"""A look at the neighbours before a new spec is applied: who would break us, and whom we would break."""

from __future__ import annotations

from nvi_operator.doctor import Finding, diagnose
from nvi_operator.errors import ConflictError
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.language.model.gateway import GatewaySpec

COLLISION = "mark-write"


def problems(spec: GatewaySpec) -> tuple[Finding, ...]:
    """What `nvictl doctor` calls a problem, in the network namespace of the calling thread; but for the nftables
    binding, without which there is nothing to do anyway.
    """
    findings = diagnose(take_survey(spec, try_binding=False), spec)
    return tuple(finding for finding in findings if finding.level == "problem")


def refuse_collisions(found: tuple[Finding, ...]) -> None:
    """Raise ConflictError if somebody writes our bits of the packet mark: packets would bypass NAT, or be lost."""
    for finding in found:
        if finding.topic == COLLISION:
            raise ConflictError(
                f"packet mark: wanted a bit for stage 2: {finding.what}",
                hint="\n  ".join(filter(None, (finding.todo, "(--force goes on all the same)"))),
            )
