"""Every check, and what all of them find."""

from __future__ import annotations

from nvi_operator.doctor.checks import CHECKS
from nvi_operator.doctor.finding import LEVELS, Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec


def diagnose(survey: Survey, spec: GatewaySpec | None) -> tuple[Finding, ...]:
    """Everything that every check finds, worst first. Without a spec only what does not depend on one."""
    found = [finding for check in CHECKS for finding in check.run(survey, spec)]
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))
