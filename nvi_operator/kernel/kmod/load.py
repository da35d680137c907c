"""Loads the module: by modprobe(8) with CAP_SYS_MODULE, otherwise by having the kernel call it."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.inspect.process import run
from nvi_operator.kernel.kmod.refusal import forget_refusal, record_refusal
from nvi_operator.kernel.kmod.survey import NAME, survey_module
from nvi_operator.kernel.netlink.interfaces import add_link
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kmod.verdict import GUIDE

# Parts of what modprobe, of kmod or busybox, prints for an errno of finit_module(2); their meaning; what to do.
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
        "lockdown, a container or an LSM forbids it: load nvi on the host, at boot",
    ),
    (
        ("not found", "no such file"),
        "modprobe does not find it, or is not installed",
        "depmod, or nvictl module install",
    ),
)


def load() -> None:
    """Loads the module unless it is loaded. Raises CapabilityError where that fails."""
    facts = survey_module()
    if facts.loaded or facts.built_in:
        return
    if facts.may_load:
        code, _, complaint = run(["modprobe", "--", NAME])
        what, hint = explain(complaint or f"modprobe: exit code {code}")
    else:
        _ask_for_a_link()
        what = "the kernel did not load it on demand, and CAP_SYS_MODULE is missing"
        hint = "sudo modprobe nvi, and dmesg; a line `blacklist nvi` of modprobe.d(5) forbids loading on demand"
    if survey_module().loaded:
        forget_refusal()
        return
    if facts.installed:
        record_refusal(Path(facts.installed.path), what)
    raise CapabilityError(f"module {NAME}: load for dataplane kmod: {what}", hint=hint)


def _ask_for_a_link() -> None:
    """rtnl_newlink() looks up the kind before it checks the name, and calls modprobe for an unknown kind;
    CAP_NET_ADMIN is enough for that. No link can have this name, so nothing is created.
    """
    with closing(Rtnetlink()) as rtnetlink, suppress(OSError):
        add_link(rtnetlink, "nvi/none", NAME)


def explain(complaint: str) -> tuple[str, str]:
    """The meaning of modprobe's complaint, and what to do."""
    text = complaint.strip()
    for parts, what, hint in _MEANINGS:
        if any(part in text.lower() for part in parts):
            return f"{what} ({text.splitlines()[-1]})", hint
    return text or "modprobe failed", f"dmesg may say more; {GUIDE}"
