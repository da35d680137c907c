"""The machine itself: kernel, rights, dataplanes, connection tracking."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.kmod.verdict import judge
from nvi_operator.language.model.gateway import GatewaySpec

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
    """The rights that apply, rollback and `down` use, each tried; `dataplane` checks those for eBPF."""
    for what in survey.refused:
        todo = "# run as root; in a container, with a writable /proc/sys and CAP_NET_ADMIN in its network namespace"
        yield Finding("problem", "privileges", f"refused: {what}", todo)
    if "CAP_NET_ADMIN" in survey.capabilities:
        if not survey.refused:
            yield Finding("ok", "privileges", "links, routes, rules, nftables and settings can be changed")
    else:
        yield Finding(
            "problem",
            "privileges",
            "CAP_NET_ADMIN is missing: links, rules and nft tables cannot be changed, and not all can be read",
            "sudo nvictl doctor",
        )


def dataplane(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Which dataplane `auto` takes, and whether eBPF can be used where it is needed."""
    requested = spec.dataplane.type if spec is not None else "auto"
    usable = judge(survey.module).usable
    if requested == "auto" and (usable or survey.bpf_error is None):
        takes = "the nvi module" if usable else "eBPF"
        yield Finding("ok", "dataplane", f"dataplane auto takes {takes}")
    if survey.bpf_error is None:
        yield Finding("ok", "dataplane", "eBPF programs can be loaded")
    elif requested == "bpf" or (requested == "auto" and not usable):
        yield Finding("problem", "dataplane", f"eBPF cannot be used: {survey.bpf_error}", _bpf_todo(survey))
    else:
        yield Finding("ok", "dataplane", f"eBPF cannot be used, but is not needed: {survey.bpf_error}")


def _bpf_todo(survey: Survey) -> str:
    lacking = {"CAP_NET_ADMIN"} - survey.capabilities
    if "CAP_SYS_ADMIN" not in survey.capabilities:  # includes CAP_BPF, which does not let a program be found again
        lacking.add("CAP_SYS_ADMIN")
    if lacking:
        locked = survey.sysctls.get("kernel/unprivileged_bpf_disabled", "0") != "0"
        note = "; kernel.unprivileged_bpf_disabled requires it" if locked else ""
        return f"# run with {' and '.join(sorted(lacking))} (root has them){note}"
    return (
        "# see that the kernel has CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF, and that no lockdown or LSM forbids it"
    )


def ifb(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """A link of kind ifb, which carries the eBPF dataplane."""
    requested = spec.dataplane.type if spec is not None else "auto"
    if requested == "kmod" or (requested == "auto" and judge(survey.module).usable):
        return
    can = survey.kinds.get("ifb", "unknown")
    if can == "no":
        yield Finding(
            "problem", "ifb", "links of kind ifb cannot be made: the eBPF dataplane needs one", "modprobe ifb"
        )
    elif can == "unknown":
        yield Finding("warning", "ifb", "unknown whether links of kind ifb can be made: not tried", "modprobe ifb")
    else:
        yield Finding("ok", "ifb", "links of kind ifb can be made")


def conntrack(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """Connection tracking is available, and its table has room."""
    if not survey.conntrack:
        yield Finding(
            "problem", "conntrack", "this kernel has no connection tracking, which NAT needs", "modprobe nf_conntrack"
        )
        return
    count = int(survey.sysctls.get("net/netfilter/nf_conntrack_count", "0"))
    most = int(survey.sysctls.get("net/netfilter/nf_conntrack_max", "0"))
    if most and count > 0.9 * most:
        # `sysctl -w` reports that another namespace refuses it, but exits 0 (procps 4.0.2).
        setting = f"echo {most * 2} > /proc/sys/net/netfilter/nf_conntrack_max"
        yield Finding(
            "warning",
            "conntrack",
            f"the connection tracking table is nearly full: {count} of {most}; a full table drops new flows",
            setting
            if survey.conntrack_max_is_settable
            else f"# only the initial network namespace can set it, for all: as root, in a shell there\n{setting}\n"
            f"# or from here: nsenter --net=/proc/1/ns/net sh -c '{setting}'",
        )
    else:
        yield Finding("ok", "conntrack", "connections can be tracked")
