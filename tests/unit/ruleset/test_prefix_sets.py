"""Networks that every packet is looked up in: few as prefixes, many in a hash of addresses."""

from __future__ import annotations

from ipaddress import ip_network

from nvi_operator.nft.ast import NamedSet
from nvi_operator.ruleset.prefix_sets import FEW, SMALL, prefix_sets

APART = [ip_network(f"198.18.{n}.0/32") for n in range(FEW)]


def sets(*more: str) -> dict[str, NamedSet]:
    owned = [(network, None) for network in (*APART, *map(ip_network, more))]
    return {named.name: named for named in prefix_sets("mine", 4, owned)}


def keys(named: NamedSet) -> set[str]:
    return {str(key) for (key,), _ in named.elements}


def test_few_networks_are_one_set_as_written() -> None:
    (named,) = prefix_sets("mine", 4, [(ip_network("203.0.113.16/28"), None), (ip_network("203.0.113.2/32"), None)])
    assert named.interval
    assert keys(named) == {"203.0.113.16/28", "203.0.113.2"}


def test_without_any_there_is_a_set_all_the_same() -> None:
    (named,) = prefix_sets("mine", 6, [])
    assert (named.interval, len(named.elements)) == (True, 0)


def test_small_ones_of_many_are_written_out_and_large_ones_come_last() -> None:
    made = sets("203.0.113.0/24", "192.0.0.0/23", "198.51.100.0/30")
    assert list(made) == ["mine_hosts", "mine"]
    assert not made["mine_hosts"].interval
    assert len(made["mine_hosts"].elements) == FEW + SMALL + 4
    assert {"198.51.100.0", "198.51.100.3", "203.0.113.255"} <= keys(made["mine_hosts"])
    assert keys(made["mine"]) == {"192.0.0.0/23"}


def test_many_small_ones_are_a_hash_alone() -> None:
    assert list(sets("203.0.113.0/31")) == ["mine_hosts"]


def test_every_address_of_a_network_is_mapped_to_what_its_network_is() -> None:
    owned = [(network, (1,)) for network in APART] + [(ip_network("203.0.113.0/31"), (2,))]
    (hosts,) = prefix_sets("of", 4, owned, ("mark",))
    assert {key: data for (key,), data in hosts.elements if str(key).startswith("203.")} == {
        "203.0.113.0": (2,),
        "203.0.113.1": (2,),
    }
    assert hosts.values == ("mark",)


def test_large_networks_alone_stay_prefixes_however_many_there_are() -> None:
    (named,) = prefix_sets("mine", 6, [(ip_network(f"2001:db8:{n:x}::/48"), None) for n in range(FEW + 1)])
    assert named.interval
    assert len(named.elements) == FEW + 1
