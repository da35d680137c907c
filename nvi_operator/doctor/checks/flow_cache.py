"""What keeps flows from being cached."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.flow_cache import blockers
from nvi_operator.doctor.footprint import footprint
from nvi_operator.doctor.survey import Survey
from nvi_operator.language.model.gateway import GatewaySpec


def flow_cache(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Each blocker, for a spec that asks for a flow cache. Packets take both passes then, which loses nothing."""
    if spec is None or not spec.asks_for_flow_cache:
        return
    found = blockers(survey, footprint(spec))
    for blocker in found:
        where = f" at {blocker.ifname}" if blocker.ifname else ""
        yield Finding("warning", "flow-cache", f"no flow is cached{where}: {blocker}", blocker.remedy)
    if not found:
        yield Finding("ok", "flow-cache", "nothing on this host keeps flows from being cached")
