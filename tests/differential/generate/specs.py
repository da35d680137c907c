"""Specs that are valid by trying: entries that the checks refuse are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from nvi_operator.errors import NviError
from nvi_operator.language.load.loader import load_texts
from tests.differential.case import Case, Surroundings
from tests.differential.generate.entries import Drawn
from tests.differential.generate.networks import Networks

Section = tuple[str, Callable[[Drawn], Any], int]  # of the spec; draws one entry; at most so many


def draw_spec(random: Random, networks: Networks, kind: type[Drawn] = Drawn) -> tuple[Surroundings, dict[str, Any]]:
    """The host may change with it: uplinks fail, probes say so."""
    drawn = kind(random, networks)
    host = networks.host
    spec: dict[str, Any] = {
        "dataplane": drawn.dataplane(),
        "numbers": drawn.numbers(),
        "addressSets": drawn.address_sets(),
        **drawn.flows(),
        "guards": drawn.guards(),
        "interfaces": drawn.interfaces(),
    }
    uplinks = drawn.uplinks()
    spec |= {"uplinks": uplinks, **drawn.default(uplinks)}
    if not is_valid(host, spec):
        spec |= {"dataplane": {}, "guards": {}, "uplinks": drawn.uplinks(plain=True)}
        spec = {name: value for name, value in spec.items() if name != "defaultUplink"}
        spec |= drawn.default(spec["uplinks"])
    for section, entry, most in drawn.sections():
        listed = section in ("sourceNat", "routes")
        for number in range(random.randint(0, most)):
            for _ in range(4):
                one = entry()
                name = f"{section[:2].lower()}{number}"
                if random.random() < 0.04:
                    one |= {"enabled": False, "description": "not now"}
                there: Any = spec.get(section, [] if listed else {})
                more: Any = [*there, {"name": name, **one}] if listed else {**there, name: one}
                if is_valid(host, {**spec, section: more}):
                    spec[section] = more
                    break
    return _faults(random, host, spec), {name: value for name, value in spec.items() if value}


def _faults(random: Random, host: Surroundings, spec: dict[str, Any]) -> Surroundings:
    probed = [name for name, uplink in spec["uplinks"].items() if "health" in uplink]
    health = {name: random.choice(["up", "down", "unknown"]) for name in probed}
    for name, forward in spec.get("forwards", {}).items():
        if "health" in forward:
            health |= {f"{name} {server}": random.choice(["up", "down"]) for server in forward["to"]}
    wires = sorted(uplink["interface"] for uplink in spec["uplinks"].values())
    down = (random.choice(wires),) if random.random() < 0.1 else ()
    return replace(host, health=health, down=down)


def is_valid(host: Surroundings, spec: dict[str, Any]) -> bool:
    """Would `nvictl validate` take it?"""
    try:
        load_texts({"gateway.yaml": Case(host, spec).text.encode()})
    except NviError:
        return False
    return True
