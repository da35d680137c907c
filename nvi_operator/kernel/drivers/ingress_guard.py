"""The programs at the ingress of the gateway's interfaces."""

from __future__ import annotations

from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.drivers.guard import GuardDriver
from nvi_operator.kinds.ingress_guard import INGRESS_GUARD


class IngressGuardDriver(GuardDriver):
    kind = INGRESS_GUARD.name
    program = INGRESS
    type = INGRESS_GUARD.type
    place = "ingress of the interfaces"
