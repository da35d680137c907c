"""Several uplinks without the operator: a mark per flow, kept by conntrack, and a table per mark."""

from __future__ import annotations

from bench.dataplane.bed import FAMILIES, Bed
from bench.dataplane.variants.single import translate
from tests.lab import Lab


def connmark(lab: Lab, name: str) -> Bed:
    bed = Bed(lab, name)
    for family, numbers in FAMILIES.items():
        any_ = "default" if family == 4 else "::/0"
        for mark, (_, next_hop) in enumerate(numbers.uplinks, 1):
            bed.outer.run(
                "ip", f"-{family}", "rule", "add", "pref", "200", "fwmark", f"{mark}", "lookup", f"{100 + mark}"
            )
            bed.outer.ip(f"route add {any_} via {next_hop} table {100 + mark}")
        # Networks of one's own before the uplink that the mark says.
        bed.outer.run(*f"ip -{family} rule add pref 100 lookup main suppress_prefixlength 0".split())
    bed.outer.nft(
        """
        table inet mangle {
            chain prerouting {
                type filter hook prerouting priority mangle;
                ct mark != 0 meta mark set ct mark return
                iifname "wan0" ct mark set 1 return
                iifname "wan1" ct mark set 2 return
                ip saddr 192.168.1.80 meta mark set 2
                ip6 saddr fd00:1::80 meta mark set 2
                meta mark 0 meta mark set 1
                ct mark set meta mark
            }
        }
        """
    )
    translate(bed.outer)
    return bed
