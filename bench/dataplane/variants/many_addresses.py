"""Ours, with public addresses that are the uplinks' in turn, so that no two of an uplink make a prefix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.dataplane.bed import FAMILIES, Bed, Numbers
from tests.lab import GatewayHost, Lab

CLIENTS = 8
_OTHERS = {4: "10.1.0.0/16", 6: "fd00:2::/112"}  # inside, where those are that send nothing
_UPLINKS = (("isp-a", "wan0"), ("isp-b", "wan1"))


def many_addresses(number: int) -> Callable[[Lab, str], Bed]:
    """`number` of each family: all but the uplinks' own are 1:1, and the first of these have the traffic."""

    def build(lab: Lab, name: str) -> Bed:
        bed = Bed(lab, name)
        bed.one_to_one(CLIENTS)
        pairs = [pair for n in FAMILIES.values() for pair in _pairs(n, number - len(_UPLINKS))]
        with TemporaryDirectory(prefix="nvi-bench-") as directory:
            rows = (f"s{row},{inside},{public}\n" for row, (inside, public) in enumerate(pairs))
            Path(directory, "static.csv").write_text(f"name,address,as\n{''.join(rows)}", encoding="ascii")
            # JSON, which is YAML as well.
            Path(directory, "gateway.yaml").write_text(json.dumps(_gateway(pairs)), encoding="ascii")
            GatewayHost(bed.outer).apply(Path(directory))
        return bed

    return build


def _pairs(n: Numbers, number: int) -> Iterator[tuple[str, str]]:
    """Inside, and what it is translated to."""
    clients, others, public = ip_address(n.clients), ip_network(_OTHERS[n.family]), ip_address(n.public)
    for each in range(number):
        inside = clients + each if each < CLIENTS else others[each]
        yield str(inside), str(public + each)


def _gateway(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    uplinks = {}
    for place, (label, ifname) in enumerate(_UPLINKS):
        ours = [n.uplinks[place] for n in FAMILIES.values()]
        uplinks[label] = {
            "interface": ifname,
            "addresses": [address for address, _ in ours],
            "nextHop": [next_hop for _, next_hop in ours],
            "routed": [public for _, public in pairs[place :: len(_UPLINKS)]],
            "default": place == 0,
        }
    networks = [*(n.lan_network for n in FAMILIES.values()), *_OTHERS.values()]
    return {
        "apiVersion": "nvi-operator/v1",
        "kind": "Gateway",
        "metadata": {"name": "edge"},
        "spec": {
            "dataplane": {"type": "bpf", "inInterface": "mark"},
            "interfaces": {"lan0": {"networks": networks}},
            "uplinks": uplinks,
            "sourceNat": [{"name": "everyone", "as": "isp-a"}],
            "staticFrom": "static.csv",
        },
    }
