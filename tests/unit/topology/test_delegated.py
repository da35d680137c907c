"""Which prefix is delegated by which ISP, and which part of it is meant."""

from __future__ import annotations

from ipaddress import IPv6Network, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from nvi_operator.kernel.inspect.leases import delegated_in, leased_prefixes
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.prefixes import SubPrefix
from nvi_operator.topology.delegated import Delegated, delegated_networks, find_delegated
from nvi_operator.topology.facts import Facts, LinkFact

ONE, TWO = IPv6Network("2001:db8:a:100::/56"), IPv6Network("2001:db9:b:200::/56")


def spec(*delegated: str, **more: Any) -> GatewaySpec:
    uplinks = {f"isp-{n}": {"interface": f"wan{n}", "delegated": d} for n, d in enumerate(delegated, start=1)}
    return GatewaySpec.model_validate({"uplinks": uplinks, **more})


def found(spec: GatewaySpec, *unreachable: IPv6Network, **facts: Any) -> tuple[dict[str, tuple[str, ...]], str]:
    notes: list[str] = []
    delegated = find_delegated(spec, Facts("host", unreachable=unreachable, **facts), notes.append)
    return {name: tuple(map(str, networks)) for name, networks in delegated.of.items()}, "; ".join(notes)


def test_with_one_isp_whatever_is_delegated_is_its() -> None:
    assert found(spec("auto"), ONE, TWO) == ({"isp-1": (str(ONE), str(TWO))}, "")


def test_the_prefix_that_inside_interfaces_have_addresses_in_is_the_first_and_both_are_inside() -> None:
    """As systemd-networkd leaves it when another prefix is delegated: with the route of the old one."""
    new = ip_interface("2001:db9:b:203::1/64")
    old = ip_interface("2001:db8:a:103::1/64")
    link = LinkFact("lan0", 2, addresses=(old, new), fading=frozenset({old.ip}))
    one = spec(
        "auto", interfaces={"lan0": {"networks": "192.168.1.0/24", "delegated": {"from": "isp-1", "subnet": 3}}}
    )
    assert found(one, ONE, TWO, links={"lan0": link})[0] == {"isp-1": (str(TWO), str(ONE))}
    delegated = find_delegated(one, Facts("host", unreachable=(ONE, TWO), links={"lan0": link}), lambda _: None)
    assert delegated_networks(one, delegated, lambda _: None) == {"lan0": (new.network, old.network)}


def test_with_several_the_isps_own_prefixes_tell() -> None:
    both = spec("2001:db8::/32", "2001:db9::/32")
    assert found(both, ONE, TWO) == ({"isp-1": (str(ONE),), "isp-2": (str(TWO),)}, "")
    assert found(both, ONE)[1].startswith("uplink isp-2: delegated: there is no prefix now")


def test_where_several_are_possible_and_nothing_tells_no_uplink_gets_it() -> None:
    of, note = found(spec("auto", "auto"), ONE)
    assert of == {"isp-1": (), "isp-2": ()}
    assert "isp-1: delegated: 2001:db8:a:100::/56 may be of any of several ISPs: name the prefix" in note


def test_what_is_routed_by_one_isp_is_not_delegated_by_another() -> None:
    """Prefixes that are routed here are refused in `main` as well, so that the unused part of them goes nowhere."""
    routed = {"interface": "wan2", "routed": [str(ONE.supernet(new_prefix=48))]}
    one = GatewaySpec.model_validate(
        {"uplinks": {"isp-1": {"interface": "wan1", "delegated": "auto"}, "isp-2": routed}}
    )
    of, note = found(one, ONE, TWO)
    assert of == {"isp-1": (str(TWO),)}
    assert f"isp-1: delegated: {ONE} overlaps what uplink isp-2 has" in note


def test_a_prefix_that_two_uplinks_would_take_is_the_first_ones() -> None:
    of, note = found(spec("2001:db8::/32", "2001:db8:a::/48"), ONE)
    assert of == {"isp-1": (str(ONE),), "isp-2": ()}
    assert f"isp-2: delegated: {ONE} overlaps what uplink isp-1 has" in note


def test_a_lease_tells_whose_it_is() -> None:
    leased = {"wan2": (ONE,)}
    of, _ = found(spec("auto", "auto"), ONE, leased_prefixes=leased)
    assert of == {"isp-1": (), "isp-2": (str(ONE),)}


def test_a_prefix_of_64_is_on_an_inside_interface_alone() -> None:
    links = {"lan0": LinkFact("lan0", 2, addresses=(ip_interface("2001:db8:a:7::1/64"),))}
    assert found(spec("2001:db8::/32"), links=links)[0] == {"isp-1": ("2001:db8:a:7::/64",)}
    assert found(spec("2001:db8::/32"), ONE, links=links)[0] == {"isp-1": (str(ONE), "2001:db8:a:7::/64")}


@pytest.mark.parametrize(
    ("subnet", "length", "part"),
    [
        (0, None, "2001:db8:a:100::/64"),
        (3, None, "2001:db8:a:103::/64"),
        (255, 64, "2001:db8:a:1ff::/64"),
        (256, 64, None),
        (1, 60, "2001:db8:a:110::/60"),
        (0, 48, None),
    ],
)
def test_a_part_of_a_delegated_prefix_is_the_one_of_its_number(
    subnet: int, length: int | None, part: str | None
) -> None:
    sub = SubPrefix.model_validate({"from": "isp", "subnet": subnet, **({"length": length} if length else {})})
    assert Delegated({"isp": (ONE,)}).part(sub) == (ip_network(part) if part else None)
    assert Delegated({}).part(sub) is None


def test_a_part_that_does_not_fit_is_told() -> None:
    inside = {"lan0": {"networks": "192.168.1.0/24", "delegated": {"from": "isp-1", "subnet": 300}}}
    notes: list[str] = []
    made = delegated_networks(spec("auto", interfaces=inside), Delegated({"isp-1": (ONE,)}), notes.append)
    assert (made, notes) == ({"lan0": ()}, ["lan0: subnet 300 of isp-1 as a /64 does not fit in 2001:db8:a:100::/56"])


# --------------------------------------------------------------------------- dhcpcd's leases


def option(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def lease(prefix: IPv6Network, valid: int, kind: int = 7) -> bytes:
    offered = (600).to_bytes(4, "big") + valid.to_bytes(4, "big") + bytes([prefix.prefixlen])
    pd = bytes(12) + option(26, offered + prefix.network_address.packed)
    return bytes([kind, 1, 2, 3]) + option(1, b"client") + option(25, pd)


def test_a_lease_of_dhcpcd(tmp_path: Path) -> None:
    assert list(delegated_in(lease(ONE, 3600))) == [(ONE, 3600)]
    for number, data in enumerate((lease(ONE, 3600), lease(ONE, 0), lease(ONE, 60, kind=2), b"", b"\x07" * 30)):
        (tmp_path / f"wan{number}.lease6").write_bytes(data)
    assert leased_prefixes([f"wan{n}" for n in range(9)], [tmp_path / "none", tmp_path]) == {"wan0": (ONE,)}
