"""No packet leaves an uplink untranslated, whatever is lost together: every pair and triple, and no daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from types import MappingProxyType

import pytest

from tests.lab import Host, Site
from tests.lab.net import until
from tests.lab.probe import Prober
from tests.netns.operator import Operator
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

Loss = Callable[[Host], None]
KERNEL = ("0", "32766", "32767")  # the kernel's own rules


def nft(*commands: str) -> Loss:
    """Of a table that another loss may have taken already."""

    def lose(gateway: Host) -> None:
        for command in commands:
            gateway.run("nft", command, check=False)

    return lose


def run(*commands: str) -> Loss:
    def lose(gateway: Host) -> None:
        for command in commands:
            gateway.run(*command.split(), check=False)

    return lose


def no_rules(gateway: Host) -> None:
    """As a network manager that starts with a clean slate: all rules but the kernel's own."""
    for family in ("-4", "-6"):
        found = (line.partition(":")[0] for line in gateway.run("ip", family, "rule", "show").stdout.splitlines())
        lines = "".join(f"rule del pref {number}\n" for number in found if number not in KERNEL)
        gateway.run("ip", family, "-batch", "-", text=lines)


def forwarding_toggled(gateway: Host) -> None:
    for setting in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        gateway.write(setting, "0")
        gateway.write(setting, "1")


LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        "ruleset-flushed": nft("flush ruleset"),
        "table-flushed": nft("flush table inet nvi"),
        "guards-flushed": nft("flush chain inet nvi guard"),
        "nat-flushed": nft("flush chain inet nvi srcnat", "flush chain inet nvi dstnat"),
        "rules-deleted": no_rules,
        "routes-flushed": run("ip route flush table 7800", "ip route flush table 7801"),
        "device-deleted": run("ip link del nvi0"),
        "program-detached": run("tc qdisc del dev nvi0 clsact"),
        "forwarding-toggled": forwarding_toggled,
        "inside-renamed": lambda gateway: gateway.rename("lan0", "lan9"),
    }
)
TOGETHER = [names for size in (2, 3) for names in combinations(LOSSES, size)]


@pytest.fixture
def prober(site: Site) -> Iterator[Prober]:
    made = Prober(site)
    yield made
    made.close()


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
