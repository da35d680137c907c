"""Before a new spec is applied: what on this host would break the gateway, and whom the gateway would break.

Pure: the caller takes the survey (`kernel/inspect/survey.py`).
"""

from __future__ import annotations

from nvi_operator.doctor.diagnosis import diagnose
from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.errors import ConflictError
from nvi_operator.language.model.gateway import GatewaySpec

COLLISION = "mark-write"


def problems(survey: Survey, spec: GatewaySpec) -> tuple[Finding, ...]:
    """What `nvictl doctor` calls a problem. The survey need not try the nftables binding: without it nothing can be
    applied anyway.
    """
    return tuple(finding for finding in diagnose(survey, spec) if finding.level == "problem")


def refuse_collisions(found: tuple[Finding, ...]) -> None:
    """Raise ConflictError if a program writes the gateway's bits of the packet mark: packets would bypass NAT, or
    be lost.
    """
    for finding in found:
        if finding.topic == COLLISION:
            raise ConflictError(
                f"packet mark: the bit of stage 2 is not free: {finding.what}",
                hint="\n  ".join(filter(None, (finding.todo, "(--force continues all the same)"))),
            )
