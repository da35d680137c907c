"""The gateways that are compared: each makes one of a bed of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from bench.dataplane.bed import Bed
from bench.dataplane.variants.connmark import connmark
from bench.dataplane.variants.flow_cache import cached_by_clsact
from bench.dataplane.variants.many_addresses import many_addresses
from bench.dataplane.variants.namespace import namespace
from bench.dataplane.variants.redirect import redirect
from bench.dataplane.variants.single import plain, snat
from bench.dataplane.variants.two_stages import two_stages
from tests.lab import Lab

Build = Callable[[Lab, str], Bed]

BASE = "snat"
BY_NAME = frozenset({"redirect", "bpf-cache-512k", "bpf-cache-4m"})  # no gateway; for many flows
VARIANTS: dict[str, Build] = {
    "redirect": redirect,
    "plain": plain,
    BASE: snat,
    "connmark": connmark,
    "netns": namespace,
    "bpf": two_stages("bpf", "mark"),
    "bpf-skb_iif": two_stages("bpf", "skb_iif"),
    "bpf-cache": two_stages("bpf", "mark", "auto"),
    "bpf-cache-clsact": cached_by_clsact,
    "bpf-cache-512k": two_stages("bpf", "mark", "auto", 1 << 19),
    "bpf-cache-4m": two_stages("bpf", "mark", "auto", 1 << 22),
    "bpf-10-addresses": many_addresses(10),
    "bpf-10k-addresses": many_addresses(10_000),
    "kmod": two_stages("kmod", "mark"),
    "kmod-cache": two_stages("kmod", "mark", "auto"),
    "kmod-skb_iif": two_stages("kmod", "skb_iif"),
}


def available() -> list[str]:
    """What this machine can run: those of the module only where a device of its kind can be made.

    Not those with the memory for many flows, nor what is no gateway.
    """
    probe = ["unshare", "--net", "ip", "link", "add", "nvi-probe", "type", "nvi"]
    module = subprocess.run(probe, capture_output=True, check=False).returncode == 0
    return [name for name in VARIANTS if name not in BY_NAME and (module or not name.startswith("kmod"))]
