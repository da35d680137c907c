"""A second namespace as NAT box: the gateway routes, the box translates; without marks, but through a veth."""

from __future__ import annotations

from bench.dataplane.bed import FAMILIES, Bed, neighbours
from bench.dataplane.variants.single import translate
from tests.lab import Lab

_LINK = {4: ("10.255.0.1", "10.255.0.2", 30), 6: ("fd00:ff::1", "fd00:ff::2", 64)}


def namespace(lab: Lab, name: str) -> Bed:
    bed = Bed(lab, name, boxed=True)
    lab.link(bed.inner, "box0", bed.outer, "gw0")
    for family, (inner, outer, length) in _LINK.items():
        any_ = "default" if family == 4 else "::/0"
        nodad = "nodad" if family == 6 else ""
        bed.inner.ip(f"addr add {inner}/{length} dev box0 {nodad}")
        bed.outer.ip(f"addr add {outer}/{length} dev gw0 {nodad}")
        neighbours(bed.inner, "box0", inner, bed.outer, "gw0", outer)
        numbers = FAMILIES[family]
        bed.inner.ip(f"route add {any_} via {outer}")
        bed.outer.ip(f"route add {numbers.lan_network} via {inner}")
    bed.forward(bed.outer)
    translate(bed.outer)
    return bed
