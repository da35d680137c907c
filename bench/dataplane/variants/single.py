"""A single stage: plain forwarding, and source NAT as in every how-to."""

from __future__ import annotations

from bench.dataplane.bed import V4, V6, Bed
from tests.lab import Host, Lab


def plain(lab: Lab, name: str) -> Bed:
    bed = Bed(lab, name)
    bed.untranslated()
    return bed


def snat(lab: Lab, name: str) -> Bed:
    bed = Bed(lab, name)
    translate(bed.outer)
    return bed


def translate(host: Host) -> None:
    """The fewest rules that do it: what a flow's first packet alone passes."""
    host.nft(
        f"""
        table inet nat {{
            chain postrouting {{
                type nat hook postrouting priority srcnat;
                oifname "wan0" snat ip to {V4.uplinks[0][0]}
                oifname "wan0" snat ip6 to {V6.uplinks[0][0]}
                oifname "wan1" snat ip to {V4.uplinks[1][0]}
                oifname "wan1" snat ip6 to {V6.uplinks[1][0]}
            }}
        }}
        """
    )
