"""What both flow caches tell, the eBPF programs' and the module's, with interfaces by their names."""

from __future__ import annotations

from collections.abc import Mapping

from nvi_operator.kernel.bpf.flow_cache import CachedFlow
from nvi_operator.kernel.kmod.flow_cache import ModuleFlow
from nvi_operator.state.flow import Flow


def as_flow(names: Mapping[int, str], flow: CachedFlow | ModuleFlow) -> Flow:
    return Flow(
        flow.protocol,
        _ifname(names, flow.iif),
        flow.original,
        _ifname(names, flow.oif),
        flow.translated,
        flow.packets,
        flow.bytes,
        confirmed=not flow.suspended,
    )


def traffic_group(names: Mapping[int, str], way: tuple[int, int] | None) -> str:
    """The group of counters of a pair of interfaces; None stands for pairs that have no counters of their own."""
    between = "other interfaces" if way is None else " to ".join(_ifname(names, each) for each in way)
    return f"flow cache, {between}"


def _ifname(names: Mapping[int, str], ifindex: int) -> str:
    return names.get(ifindex, f"interface {ifindex}")
