"""What the calling thread may do, as its capability bits say."""

from __future__ import annotations

from pathlib import Path

# include/uapi/linux/capability.h
_CAPABILITIES = {12: "CAP_NET_ADMIN", 16: "CAP_SYS_MODULE", 21: "CAP_SYS_ADMIN", 39: "CAP_BPF"}


def capabilities() -> frozenset[str]:
    """The capabilities of the calling thread that matter to the operator."""
    for line in Path("/proc/thread-self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for bit, name in _CAPABILITIES.items() if bits & 1 << bit)
    return frozenset()
