"""Cases drawn from a seed: the same seed and number give the same case."""

from __future__ import annotations

from random import Random

from tests.differential.case import Case
from tests.differential.generate.networks import draw_networks
from tests.differential.generate.packets import draw_talks
from tests.differential.generate.specs import draw_spec

__all__ = ["draw_case"]


def draw_case(seed: int, number: int, talks: int) -> Case:
    """A host, a valid spec for it and so many talks."""
    random = Random(f"{seed}/{number}")
    networks = draw_networks(random)
    host, spec = draw_spec(random, networks)
    return Case(host, spec, draw_talks(random, networks, host, spec, talks))
