"""The names of the operator's programs and filters, of every driver and of every version."""

from __future__ import annotations

from nvi_operator.kernel.bpf.egress import EGRESS
from nvi_operator.kernel.bpf.flow_cache import CLEAN_IN, CLEAN_OUT, IN, OUT
from nvi_operator.kernel.bpf.guard import is_guard
from nvi_operator.kernel.bpf.ingress import INGRESS
from nvi_operator.kernel.bpf.program import is_device

_PROGRAMS = frozenset({IN, OUT, CLEAN_IN, CLEAN_OUT, EGRESS.program, INGRESS.program})


def is_own(name: str) -> bool:
    """Is it the name of a program of the operator, or of its filter?"""
    return name in _PROGRAMS or is_guard(name) or is_device(name)
