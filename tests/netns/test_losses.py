"""No packet leaves untranslated whatever is lost together, with no daemon: pairs here, triples in `make soak`."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.examples import ALL
from tests.lab import Site
from tests.lab.net import until
from tests.lab.probe import Prober
from tests.netns.losses import LOSSES
from tests.netns.operator import Operator
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

SIZES = (2, 3) if ALL else (2,)
TOGETHER = [names for size in SIZES for names in combinations(LOSSES, size)]


@pytest.mark.parametrize("first", LOSSES)
def test_no_pair_and_no_triple_of_losses_lets_a_packet_out(site: Site, prober: Prober, first: str) -> None:
    """Those that begin with `first`; of each the packets are sent after every loss."""
    operator = Operator(site)
    for names in (names for names in TOGETHER if names[0] == first):
        operator.apply(spec())
        for name in names:
            LOSSES[name](site.gateway)
            prober.send()
        prober.send()
        assert site.leaks() == 0, f"{' and '.join(names)}"
        if site.gateway.run("ip", "link", "show", "lan9", check=False).returncode == 0:
            site.gateway.rename("lan9", "lan0")
    operator.apply(spec())
    site.far.serve(443)
    until(lambda: site.client.reaches(site.far.address, 443), "the gateway works again")
