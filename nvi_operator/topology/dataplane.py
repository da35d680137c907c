"""Which dataplane a gateway has on this host, and how it tells where a packet came in. Pure."""

from __future__ import annotations

from typing import Literal

from nvi_operator.kmod.verdict import judge
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.notes import Note


def choose_dataplane(spec: GatewaySpec, facts: Facts, note: Note) -> Literal["kmod", "bpf"]:
    """`auto` is the module where it can be used, and eBPF otherwise; a note says why."""
    if spec.dataplane.type == "bpf":
        return "bpf"
    module = judge(facts.module)
    remedy = "; nvictl module status names the commands to run" if module.installed_in_vain else ""
    if spec.dataplane.type == "auto" and not module.usable:
        note(f"dataplane bpf: auto, and {module.why}{remedy}")
        return "bpf"
    if remedy:
        note(f"dataplane kmod: {module.why}{remedy}")
    return "kmod"


def choose_in_interface(spec: GatewaySpec, note: Note) -> Literal["mark", "skb_iif"]:
    """`auto` is the mark, unless something else of the spec needs it; a note says what."""
    chosen = spec.dataplane.in_interface
    if chosen != "auto":
        return chosen
    if any(interface.tenant for interface in spec.interfaces.values()):
        note("inInterface skb_iif: auto, and tenants need the mark")
        return "skb_iif"
    if spec.dataplane.keep_marks:
        note("inInterface skb_iif: auto, and keepMarks leaves the mark to others")
        return "skb_iif"
    return "mark"


def has_programs(dataplane: str, facts: Facts, note: Note) -> bool:
    """The eBPF dataplane needs programs; with the module only the guards are missing without them."""
    if not facts.programs and dataplane == "kmod":
        note(
            "uplinks: no program guards their egress, because eBPF programs cannot be loaded here: packets leave "
            "untranslated if the table and the FIB rules are deleted at the same time, and without the table the "
            "gateway takes packets whose source is one of its own addresses"
        )
    return facts.programs or dataplane == "bpf"


def name_earlier_programs(spec: GatewaySpec, facts: Facts, dataplane: str, note: Note) -> None:
    device = facts.links.get(spec.dataplane.device)
    if device is not None and device.tcx_egress and dataplane == "bpf":
        note(
            f"{device.ifname}: tcx egress has {', '.join(device.tcx_egress)}, before the gateway's own program: a "
            "packet for which it does not end in TCX_NEXT (-1) is dropped"
        )
