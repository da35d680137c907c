"""The connection tracking table as a whole. `status` asks, which imports little."""

from __future__ import annotations

from pathlib import Path

from nvi_operator.kernel.kmod.index import available

_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def has_conntrack() -> bool:
    return _MAX.exists() or available("nf_conntrack")


def can_set_conntrack_max() -> bool:
    """Can it be written? In other namespaces than the initial one it cannot (nf_conntrack_standalone.c)."""
    try:
        return bool(_MAX.stat().st_mode & 0o200)
    except OSError:
        return True


def conntrack_is_full() -> bool:
    """Does the kernel drop packets that begin a flow, but for those that take the place of an unanswered one?"""
    try:
        count, most = (int(file.read_text(encoding="ascii")) for file in (_COUNT, _MAX))
    except (OSError, ValueError):
        return False
    return most > 0 and count >= 0.99 * most  # some end, and others take their place


def conntrack_faults() -> tuple[str, ...]:
    """What keeps any gateway here from working, though all is as the spec says."""
    full = "the connection tracking table is full: new flows are dropped (nvictl doctor says what to do)"
    return (full,) if conntrack_is_full() else ()
