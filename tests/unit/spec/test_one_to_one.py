"""1:1 NAT without its exceptions: the fewest prefixes, and each with its counterpart."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from nvi_operator.spec.bulk import Static
from nvi_operator.spec.one_to_one import pieces
from nvi_operator.spec.values import Network


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
