"""Loads the module: by modprobe(8) with CAP_SYS_MODULE, and without by having the kernel call it."""

from __future__ import annotations

from pathlib import Path

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.inspect.process import run
from nvi_operator.kernel.kmod.refusal import forget, remember
from nvi_operator.kernel.kmod.survey import NAME, survey_module
from nvi_operator.kmod.verdict import GUIDE

# Parts of what modprobe, kmod's or busybox's, prints for an errno of finit_module(2); what they mean; what to do.
_MEANINGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("key was rejected", "key not available"),
        "it is signed with a key that this kernel does not know",
        f"enrol the key (mokutil --import, then reboot), then modprobe nvi: {GUIDE}",
    ),
    (
        ("exec format error", "invalid module format", "wrong symbol version"),
        "it was built for another kernel, or with other options",
        "nvictl module install builds for this one",
    ),
    (
        ("unknown symbol", "unknown parameter"),
        "it needs something that this kernel does not have",
        "dmesg says what; nvictl module install builds for this kernel",
    ),
    (
        ("not permitted", "permission denied"),
        "loading modules is forbidden here, even to root",
        "lockdown, a container or an LSM does that: load nvi on the host, at boot",
    ),
    (("not found", "no such file"), "modprobe does not find it, or is not there", "depmod, or nvictl module install"),
)


def load() -> None:
    """Have it loaded. Raises CapabilityError where that fails; what is loaded already is left alone."""
    facts = survey_module()
    if facts.loaded or facts.built_in:
        return
    if facts.may_load:
        code, _, complaint = run(["modprobe", "--", NAME])
        what, hint = explain(complaint or f"modprobe ended with {code}")
    else:
        _ask_for_a_link()
        what = "the kernel did not load it on demand, and CAP_SYS_MODULE is missing"
        hint = "sudo modprobe nvi, and dmesg; a line `blacklist nvi` of modprobe.d(5) forbids loading on demand"
    if survey_module().loaded:
        forget()
        return
    if facts.filed:
        remember(Path(facts.filed.path), what)
    raise CapabilityError(f"module {NAME}: wanted for dataplane kmod: {what}", hint=hint)


def _ask_for_a_link() -> None:
    """rtnl_newlink() looks for the kind before it looks at the name, and has modprobe called for a kind that it does
    not know; CAP_NET_ADMIN is enough for that. The name is one that no link can have: so nothing is made.
    """
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as ipr:
        try:
            ipr.link("add", ifname="nvi/none", kind=NAME)
        except NetlinkError:
            return


def explain(complaint: str) -> tuple[str, str]:
    """What modprobe's complaint means, and what to do."""
    text = complaint.strip()
    for parts, what, hint in _MEANINGS:
        if any(part in text.lower() for part in parts):
            return f"{what} ({text.splitlines()[-1]})", hint
    return text or "modprobe failed", f"dmesg may say more; {GUIDE}"
