"""The guard at the ingress looks up few sources, and refuses every own address."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest

from nvi_operator.kernel.bpf import objects, syscall
from nvi_operator.kernel.bpf.ingress import ADDRESSES, INGRESS, addresses_map
from nvi_operator.language.model.values import FAMILIES, Family
from tests.dataplane.run import run
from tests.dataplane.test_egress_guard import BASE, STAGE, frame

pytestmark = pytest.mark.netns

DROP, PASS = 2, -1
Source = tuple[Family, int]


def sources(random: Random, count: int) -> set[Source]:
    """In one network and all over: neighbours differ in their last bits only."""
    near: set[Source] = {
        (family, BASE[family] + random.randrange(1 << 9)) for family in FAMILIES for _ in range(count)
    }
    far: set[Source] = {(f, random.getrandbits(32 if f == 4 else 128)) for f in FAMILIES for _ in range(count)}
    return near | far


def refused(own: set[Source], asked: set[Source]) -> set[Source]:
    """Of packets with these sources; the map has `own`, and as the operator loads it the constants have."""
    # As a number alone an IPv6 address would be taken for IPv4 if it is small.
    addresses = [str(ip_address(number.to_bytes(4 if family == 4 else 16, "big"))) for family, number in own]
    name = INGRESS.object
    with objects.load(
        name, constants=INGRESS.constants(STAGE, addresses), sizes={ADDRESSES: addresses_map(len(own)).entries}
    ) as guard:
        for address in addresses:
            syscall.update(guard.maps[ADDRESSES], *INGRESS.as_element(address))
        program = guard.programs[INGRESS.program]
        answers = {(family, number): run(program, frame(number, family)) for family, number in asked}
    assert set(answers.values()) <= {DROP, PASS}
    return {source for source, answer in answers.items() if answer == DROP}


@pytest.mark.parametrize("count", [0, 1, 8, 300])
def test_own_addresses_are_refused_and_no_others(count: int) -> None:
    random = Random(count)
    own = sources(random, count)
    assert refused(own, own | sources(random, 200)) == own
