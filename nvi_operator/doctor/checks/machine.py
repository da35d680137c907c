"""The machine itself: kernel, rights, dataplanes, connection tracking."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.spec.models import GatewaySpec

OLDEST = (5, 15)  # skb->mark survives bpf_redirect() to ingress since 5.14


def kernel(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Linux 5.15 or newer."""
    match = re.match(r"(\d+)\.(\d+)", survey.kernel)
    if match and (int(match[1]), int(match[2])) < OLDEST:
        yield Finding(
            "problem",
            "kernel",
            f"Linux {survey.kernel} is older than {OLDEST[0]}.{OLDEST[1]}",
            "# install a newer kernel: older ones lose the packet mark between the two stages",
        )
    else:
        yield Finding("ok", "kernel", f"Linux {survey.kernel}")


def privileges(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """CAP_NET_ADMIN, without which nothing can be changed and little be seen."""
    if "CAP_NET_ADMIN" in survey.capabilities:
        yield Finding("ok", "privileges", "CAP_NET_ADMIN is there")
    else:
        yield Finding(
            "problem",
            "privileges",
            "CAP_NET_ADMIN is missing: links, rules and nft tables can be neither changed nor all be seen",
            "sudo nvictl doctor",
        )


def dataplane(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """The nvi module, or eBPF; the spec may insist on one."""
    wanted = spec.dataplane.type if spec is not None else "auto"
    module = survey.kinds.get("nvi") in ("yes", "loadable")
    if module:
        yield Finding("ok", "dataplane", "the nvi module can be had: dataplane auto takes it")
    elif wanted == "kmod":
        yield Finding("problem", "dataplane", f"no nvi module: {_why_no_module(survey)}", _module_todo(survey))
    elif survey.bpf_error is None:
        yield Finding("ok", "dataplane", "no nvi module: dataplane auto takes eBPF")
    if survey.bpf_error is None:
        yield Finding("ok", "dataplane", "eBPF programs can be loaded")
    elif wanted == "bpf" or (wanted == "auto" and not module):
        yield Finding("problem", "dataplane", f"eBPF cannot be used: {survey.bpf_error}", _bpf_todo(survey))
    else:
        yield Finding("ok", "dataplane", f"eBPF cannot be used, and is not needed: {survey.bpf_error}")


def _why_no_module(survey: Survey) -> str:
    if survey.modules.disabled:
        return "kernel.modules_disabled is 1, until the next boot"
    if not survey.modules.tree:
        return f"there is no /lib/modules/{survey.kernel}"
    if survey.modules.signed_only:
        return "it is not filed, and this kernel takes signed modules only"
    return f"it is not filed under /lib/modules/{survey.kernel}"


def _module_todo(survey: Survey) -> str:
    if survey.modules.disabled or not survey.modules.tree:
        return "# set spec.dataplane.type to auto or bpf"
    lines = ["make -C kmod && make -C kmod install && depmod", "# or set spec.dataplane.type to auto or bpf"]
    if survey.modules.signed_only:
        lines.insert(1, "# and sign nvi.ko with a key that the kernel knows (mokutil --import)")
    return "\n".join(lines)


def _bpf_todo(survey: Survey) -> str:
    lacking = {"CAP_NET_ADMIN"} - survey.capabilities
    if not survey.capabilities & {"CAP_BPF", "CAP_SYS_ADMIN"}:
        lacking.add("CAP_BPF")
    if lacking:
        locked = survey.sysctls.get("kernel/unprivileged_bpf_disabled", "0") != "0"
        note = "; kernel.unprivileged_bpf_disabled forbids it without" if locked else ""
        return f"# run with {' and '.join(sorted(lacking))} (root has them){note}"
    return (
        "# see that the kernel has CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF, and that no lockdown or LSM forbids it"
    )


def carrier(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """A link of kind ifb, which carries the eBPF dataplane."""
    wanted = spec.dataplane.type if spec is not None else "auto"
    if wanted == "kmod" or (wanted == "auto" and survey.kinds.get("nvi") in ("yes", "loadable")):
        return
    can = survey.kinds.get("ifb", "unknown")
    if can == "no":
        yield Finding(
            "problem", "carrier", "no link of kind ifb can be made: the eBPF dataplane needs one", "modprobe ifb"
        )
    elif can == "unknown":
        yield Finding("warning", "carrier", "could not try whether a link of kind ifb can be made", "modprobe ifb")
    else:
        yield Finding("ok", "carrier", "links of kind ifb can be made")


def conntrack(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Connection tracking: there, and with room."""
    if not survey.conntrack:
        yield Finding(
            "problem", "conntrack", "this kernel has no connection tracking: there is no NAT", "modprobe nf_conntrack"
        )
        return
    count = int(survey.sysctls.get("net/netfilter/nf_conntrack_count", "0"))
    most = int(survey.sysctls.get("net/netfilter/nf_conntrack_max", "0"))
    if most and count > 0.9 * most:
        yield Finding(
            "warning",
            "conntrack",
            f"the connection tracking table is nearly full: {count} of {most}; new flows are dropped when it is",
            f"sysctl -w net.netfilter.nf_conntrack_max={most * 2}",
        )
    else:
        yield Finding("ok", "conntrack", "connections can be tracked")
