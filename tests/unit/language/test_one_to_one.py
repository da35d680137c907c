"""1:1 NAT without its exceptions: the fewest prefixes, and each with its counterpart."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from nvi_operator.language.model.nat_entries import Static
from nvi_operator.language.model.one_to_one import neutral, pieces
from nvi_operator.language.model.values import Network, within


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


def static(address: str, as_: str, *, without: tuple[str, ...] = ()) -> Static:
    return Static(address=networks(*address.split()), as_=networks(*as_.split()), except_=networks(*without) or None)


def shown(found: Static, *own: str) -> list[str]:
    return [f"{real} = {mapped}" for real, mapped in pieces(found, networks(*own))]


def test_without_exceptions_it_is_one_piece_of_each_family() -> None:
    both = static("fd00:1::/64 192.168.1.0/24", "203.0.113.0/24 2001:db8::/64")
    assert shown(both) == ["192.168.1.0/24 = 203.0.113.0/24", "fd00:1::/64 = 2001:db8::/64"]


@pytest.mark.parametrize("out", ["192.168.1.2", "203.0.113.2"])
def test_an_exception_may_be_named_by_either_side(out: str) -> None:
    assert shown(static("192.168.1.0/30", "203.0.113.0/30", without=(out,))) == [
        "192.168.1.0/31 = 203.0.113.0/31",
        "192.168.1.3/32 = 203.0.113.3/32",
    ]


def test_several_exceptions_may_touch_and_overlap() -> None:
    found = static("192.168.1.0/29", "203.0.113.8/29", without=("192.168.1.0/30", "192.168.1.1", "203.0.113.12"))
    assert shown(found) == ["192.168.1.5/32 = 203.0.113.13/32", "192.168.1.6/31 = 203.0.113.14/31"]


def test_the_gateways_own_addresses_are_left_out_by_what_they_are_known_as() -> None:
    found = static("fd00:1::/126", "2001:db8::/126")
    assert shown(found, "2001:db8::2", "fd00:1::1", "203.0.113.1") == [
        "fd00:1::/127 = 2001:db8::/127",
        "fd00:1::3/128 = 2001:db8::3/128",
    ]


@pytest.mark.parametrize(
    ("address", "as_", "without", "says"),
    [
        ("192.168.1.0/24", "203.0.113.0/24", "10.0.0.1", "except 10.0.0.1/32 is in neither address nor as"),
        ("192.168.1.0/24", "203.0.113.0/24", "192.168.0.0/16", "except 192.168.0.0/16 is in neither address nor as"),
        ("192.168.1.0/24", "203.0.113.0/24", "203.0.113.0/24", "except 203.0.113.0/24 is all of"),
        ("192.168.1.0/24 fd00::/64", "203.0.113.0/24", "192.168.1.1", "mix IPv4 and IPv6"),
    ],
)
def test_what_makes_no_sense_is_refused(address: str, as_: str, without: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        static(address, as_, without=(without,))


def test_nptv6_gives_the_addresses_of_the_rfcs_own_example() -> None:
    found = neutral(
        *networks("fd01:203:405::/48", "2001:db8:1::/48"), networks("fd01:203:405:1::/64", "192.168.1.0/24")
    )
    assert [str(network) for network in next(found)] == ["fd01:203:405:1::/64", "2001:db8:1:d550::/64"]


@pytest.mark.parametrize("real", ["fd00:1::/48", "fd00::/40", "fd00:ffff:8000::/33"])
@pytest.mark.parametrize("mapped", ["2001:db8:a::/48", "2001:db8:ff00::/40", "2a00::/33"])
def test_nptv6_keeps_the_checksum_and_no_two_subnets_meet(real: str, mapped: str) -> None:
    one, other = networks(real, mapped)
    declared = [ip_network(f"{one.network_address + (number << 64)}/64") for number in (0, 1, 255, 0x8000, 0xFFFE)]
    wide = ip_network(f"{one.network_address + (0x1200 << 64)}/56")
    found = list(neutral(one, other, [*declared, wide]))
    assert len({there for _, there in found}) == len(found) == 5 + 256
    for here, there in found:
        assert checksum(here) == checksum(there)
        if one.prefixlen == other.prefixlen:
            assert within(there, other)


def checksum(network: Network) -> int:
    number = int(network.network_address)
    return sum(number >> shift & 0xFFFF for shift in range(0, 128, 16)) % 0xFFFF


def test_nptv6_has_no_translation_of_the_last_subnet() -> None:
    assert list(neutral(*networks("fd00::/48", "2001:db8::/48"), networks("fd00:0:0:ffff::/64"))) == []


def test_nptv6_is_for_the_ipv6_half_and_knows_exceptions() -> None:
    found = Static(
        address=networks("192.168.1.0/24", "fd00:1::/48"),
        as_=networks("203.0.113.0/24", "2001:db8:a::/48"),
        except_=networks("fd00:1:0:8::/62"),
        nptv6=True,
    )
    declared = networks("192.168.1.0/24", "fd00:1::/64", "fd00:1:0:9::/64", "fd00:2::/64")
    assert [f"{real} = {mapped}" for real, mapped in pieces(found, (), declared)] == [
        "192.168.1.0/24 = 203.0.113.0/24",
        "fd00:1::/64 = 2001:db8:a:cf3e::/64",
    ]


def test_nptv6_refuses_prefixes_in_which_it_would_change_each_host() -> None:
    with pytest.raises(ValueError, match="at most /48"):
        Static(address=networks("fd00:1::/56"), as_=networks("2001:db8::/56"), nptv6=True)
