"""Which dataplanes this machine offers."""

from __future__ import annotations

import os
import subprocess
from functools import cache

IN_INTERFACES = ("mark", "skb_iif")  # of a packet's in-interface


@cache
def dataplanes() -> tuple[str, ...]:
    """eBPF always, the module where a device of kind nvi can be made."""
    probe = ["unshare", "--net", "ip", "link", "add", "nvi-probe", "type", "nvi"]
    found = os.geteuid() == 0 and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    return ("bpf", "kmod") if found else ("bpf",)
