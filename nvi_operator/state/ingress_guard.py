"""The eBPF program at an interface's ingress: which sources may not come in by it, independent of nftables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IngressGuard:
    """`entries` are addresses of the gateway.

    `stage_mask` is None when the live program is not one that this version would have loaded.
    """

    ifname: str
    stage_mask: int | None
    entries: frozenset[str]

    @property
    def key(self) -> str:
        return f"{self.ifname} ingress"
