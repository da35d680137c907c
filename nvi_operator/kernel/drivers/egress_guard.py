"""The programs at the egress of uplinks and inside interfaces."""

from __future__ import annotations

from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.drivers.guard import GuardDriver
from nvi_operator.kinds.egress_guard import EGRESS_GUARD


class EgressGuardDriver(GuardDriver):
    kind = EGRESS_GUARD.name
    program = EGRESS
    type = EGRESS_GUARD.type
    place = "egress of the uplinks"
