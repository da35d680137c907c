"""Addresses, prefixes, ports and names: the forms that are taken, and the sentence for each that is not."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.language.model import fields, packet_fields, services
from nvi_operator.language.model import values as v
from nvi_operator.language.model.packet_fields import Mark
from nvi_operator.language.model.services import PortRange, Service, Target
from nvi_operator.language.model.values import AddressRange
from nvi_operator.language.wording import HintedError, nearest

TAKEN: list[tuple[Callable[[object], Any], object, Any]] = [
    (v.parse_name, "isp-a", "isp-a"),
    (v.parse_name, "0", "0"),
    (v.parse_name, "a" * 40, "a" * 40),
    (v.parse_ifname, "wan0.100", "wan0.100"),
    (v.parse_ifname, "_x", "_x"),
    (v.parse_hostname, "gw1.example.net", "gw1.example.net"),
    (v.parse_address, "192.0.2.1", ip_address("192.0.2.1")),
    (v.parse_address, "2001:DB8::1", ip_address("2001:db8::1")),
    (v.parse_network, "192.0.2.0/24", ip_network("192.0.2.0/24")),
    (v.parse_network, "192.0.2.1", ip_network("192.0.2.1/32")),
    (v.parse_address_range, "192.0.2.1", AddressRange(ip_address("192.0.2.1"), ip_address("192.0.2.1"))),
    (v.parse_address_range, "192.0.2.0/30", AddressRange(ip_address("192.0.2.0"), ip_address("192.0.2.3"))),
    (v.parse_address_range, "fd00::1-fd00::9", AddressRange(ip_address("fd00::1"), ip_address("fd00::9"))),
    (services.parse_port_range, 443, PortRange(443, 443)),
    (services.parse_port_range, "1-65535", PortRange(1, 65535)),
    (services.parse_service, "443/tcp", Service("tcp", PortRange(443, 443))),
    (services.parse_service, "8000-8010/udp", Service("udp", PortRange(8000, 8010))),
    (services.parse_target, "192.0.2.1:22", Target(ip_address("192.0.2.1"), PortRange(22, 22))),
    (services.parse_target, "192.0.2.1", Target(ip_address("192.0.2.1"))),
    (services.parse_target, "fd00::80", Target(ip_address("fd00::80"))),
    (services.parse_target, "[fd00::80]", Target(ip_address("fd00::80"))),
    (services.parse_target, "[fd00::80]:9000-9010", Target(ip_address("fd00::80"), PortRange(9000, 9010))),
    (services.parse_target, "[fe80::1]:53", Target(ip_address("fe80::1"), PortRange(53, 53))),
    (v.parse_place, "isp-a", "isp-a"),
    (v.parse_place, "2001:DB8:0::1", "2001:db8::1"),
    (services.parse_protocol, "gre", "gre"),
    (services.parse_protocol, 47, "gre"),
    (services.parse_protocol, "041", "41"),
    (packet_fields.parse_dscp, "ef", 46),
    (packet_fields.parse_dscp, "AF41", 34),
    (packet_fields.parse_dscp, "cs0", 0),
    (packet_fields.parse_dscp, "63", 63),
    (packet_fields.parse_dscp, 0, 0),
    (packet_fields.parse_mark, "0x10/0xff", Mark(0x10, 0xFF)),
    (packet_fields.parse_mark, 16, Mark(16)),
    (packet_fields.parse_mark, "0xFFFFFFFF", Mark(0xFFFFFFFF)),
    (packet_fields.parse_mark, "0/0xf0", Mark(0, 0xF0)),
    (v.parse_ifname, "42", "42"),
    (v.parse_ifname, "lo0", "lo0"),
    (v.parse_ifname, "all.5", "all.5"),
]


@pytest.mark.parametrize(("parse", "text", "value"), TAKEN, ids=[f"{p.__name__} {t}" for p, t, _ in TAKEN])
def test_each_form_of_a_value_is_read_and_what_was_read_stays(
    parse: Callable[[object], Any], text: object, value: Any
) -> None:
    assert parse(text) == value
    assert parse(value) == value, "what is parsed already stays"


REFUSED: list[tuple[Callable[[object], Any], object, str]] = [
    (v.parse_name, "a b", "'a b' is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"),
    (v.parse_name, "isp_a", "is not a name"),
    (v.parse_name, "-a", "is not a name"),
    (v.parse_name, "a" * 41, "is not a name"),
    (v.parse_name, "a\n", "is not a name"),
    (v.parse_name, "a;drop", "is not a name"),
    (v.parse_name, "$(id)", "is not a name"),
    (v.parse_name, "a}{b", "is not a name"),
    (v.parse_name, 'a"b', "is not a name"),
    (v.parse_name, "ä", "is not a name"),
    (v.parse_name, 5, "expected a name as text, found 5"),
    (v.parse_name, True, "expected a name as text, found true"),
    (v.parse_name, None, "expected a name as text, found nothing"),
    (v.parse_ifname, "wan0\n", "is not an interface name"),
    (v.parse_ifname, "00:11:22:33:44:55", "is not an interface name"),
    (v.parse_ifname, "../x", "is not an interface name"),
    (v.parse_ifname, "-x", "is not an interface name"),
    (v.parse_ifname, "sixteen-letters0", "is not an interface name"),
    (v.parse_ifname, ".", "is not an interface name"),
    (v.parse_ifname, "..", "is not an interface name"),
    (v.parse_ifname, "a b", "is not an interface name"),
    (v.parse_ifname, "all", "'all' is what the kernel calls the settings of all interfaces"),
    (v.parse_ifname, "default", "'default' is what the kernel calls the settings of all interfaces"),
    (v.parse_ifname, "lo", "'lo' is the loopback interface: it takes part in no NAT"),
    (v.parse_ifname, 42, "expected an interface name as text, found 42"),
    (v.parse_hostname, "gw;id", "'gw;id' is not a hostname"),
    (v.parse_address, "192.0.2.256", "'192.0.2.256' is not an IPv4 or IPv6 address"),
    (v.parse_address, "192.0.2.01", "is not an IPv4 or IPv6 address"),
    (v.parse_address, "192.0.2", "is not an IPv4 or IPv6 address"),
    (v.parse_address, "١92.0.2.1", "is not an IPv4 or IPv6 address"),
    (v.parse_address, "192.0.2.1\n", "is not an IPv4 or IPv6 address"),
    (v.parse_address, "fe80::1%eth0", "a zone index is not allowed here"),
    (v.parse_address, "0.0.0.0", "0.0.0.0 is unspecified: no host has it"),
    (v.parse_address, "::", ":: is unspecified: no host has it"),
    (v.parse_address, "239.255.255.255", "239.255.255.255 is multicast: no host has it"),
    (v.parse_address, "255.255.255.255", "255.255.255.255 is broadcast: no host has it"),
    (v.parse_address, "::ffff:192.0.2.1", "is IPv4-mapped: no host has it"),
    (services.parse_target, "127.0.0.1:80", "127.0.0.1 is loopback: no host has it"),
    (services.parse_server, "[fe80::1]:80", "fe80::1 is link-local: no router forwards to it"),
    (v.parse_address, "", "is not an IPv4 or IPv6 address"),
    (v.parse_network, "192.0.2.1/24", "'192.0.2.1/24' has host bits set"),
    (v.parse_network, "192.0.2.0/255.255.255.0", "write the prefix length as a number"),
    (v.parse_network, "192.0.2.0/33", "is not a prefix"),
    (v.parse_address_range, "192.0.2.9-192.0.2.1", "runs backwards"),
    (v.parse_address_range, "192.0.2.1-fd00::1", "mixes IPv4 and IPv6"),
    (services.parse_port_range, 0, "'0': ports are 1 to 65535"),
    (services.parse_port_range, 65536, "ports are 1 to 65535"),
    (services.parse_port_range, "22:22", "'22:22' is not a port or a port range such as 8000-8010"),
    (services.parse_port_range, "10-5", "runs backwards"),
    (services.parse_port_range, True, "expected a port as text, found true"),
    (services.parse_service, 443, "443 names no protocol: write 443/tcp or 443/udp"),
    (services.parse_service, "gre", "gre has no ports"),
    (services.parse_service, "47/gre", "gre has no ports"),
    (services.parse_service, "ICMP", "icmp has no ports"),
    (services.parse_service, "tcp", "'tcp' names no port"),
    (services.parse_service, "https", "'https' is not a port with its protocol"),
    (services.parse_service, "tcp/443", "'tcp/443' has its protocol first"),
    (services.parse_protocol, 256, "256 is not a protocol: numbers are 1 to 255"),
    (services.parse_protocol, "0", "0 is not a protocol: numbers are 1 to 255"),
    (services.parse_service, "443", "'443' names no protocol: write it as 443/tcp or 8000-8010/udp"),
    (services.parse_service, "443/icmp", "icmp has no ports"),
    (services.parse_target, "[192.0.2.1]:80", "brackets are for IPv6 addresses only"),
    (services.parse_target, "[fd00::1", "is not of the form [fd00::80]:8443"),
    (services.parse_target, "192.0.2.1:0", "ports are 1 to 65535"),
    (services.parse_target, "web:80", "'web' is not an IPv4 or IPv6 address"),
    (v.parse_place, "203.0.113.0/28", "is not an IPv4 or IPv6 address"),
    (services.parse_protocol, "ospf", "'ospf' is not a protocol known here"),
    (packet_fields.parse_dscp, 64, "'64': a DSCP is 0 to 63"),
    (packet_fields.parse_dscp, "184", "'184': a DSCP is 0 to 63"),
    (packet_fields.parse_dscp, "fe", "'fe' is not a DSCP"),
    (packet_fields.parse_dscp, True, "expected a DSCP, found true"),
    (packet_fields.parse_mark, "0x1ffffffff", "'0x1ffffffff' is not a mark"),
    (packet_fields.parse_mark, "4294967296", "a mark has 32 bits"),
    (packet_fields.parse_mark, "1/0", "a mask of 0 compares nothing"),
    (packet_fields.parse_mark, "0x110/0xff", "no packet matches: 0x100 is outside of the mask"),
    (packet_fields.parse_mark, -1, "-1 is not a mark"),
    (fields.as_tuple, [], "the list is empty"),
]


@pytest.mark.parametrize(("parse", "text", "message"), REFUSED, ids=[f"{p.__name__} {t!r}" for p, t, _ in REFUSED])
def test_a_wrong_value_is_refused_with_what_is_wrong(
    parse: Callable[[object], Any], text: object, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert message in str(caught.value)


def no_host_has(address: Any) -> bool:
    special = address.is_multicast or address.is_loopback or address.is_unspecified
    if address.version == 6:
        return bool(special or address.ipv4_mapped)
    return bool(special or address in ip_network("0.0.0.0/8") or address == IPv4Address("255.255.255.255"))


def test_a_loopback_address_is_refused_with_what_to_write_instead() -> None:
    """For a service of the gateway itself; the kernel drops what comes from a wire for such an address."""
    with pytest.raises(HintedError) as caught:
        services.parse_target("[::1]:8443")
    assert caught.value.hint.startswith("name an address of an inside interface of the gateway")


@pytest.mark.parametrize("network", ["127.0.0.1/32", "127.1.0.0/16", "::1/128", "224.0.0.0/24", "0.0.0.0/32"])
def test_networks_without_hosts_are_refused(network: str) -> None:
    with pytest.raises(ValueError, match=f"address {network} is .*: no host has it"):
        v.check_hosts(v.parse_network(network), "address")


@pytest.mark.parametrize("network", ["0.0.0.0/0", "128.0.0.0/24", "126.0.0.1/32", "::/0", "fd00::/8"])
def test_networks_with_hosts_are_not(network: str) -> None:
    v.check_hosts(v.parse_network(network), "address")


@given(st.ip_addresses())
def test_every_address_of_a_host_reads_as_python_reads_it(address: Any) -> None:
    if no_host_has(address):
        with pytest.raises(ValueError, match="no host has it"):
            v.parse_address(str(address))
    else:
        assert v.parse_address(str(address)) == address


@given(st.text(alphabet="0123456789.", max_size=16))
def test_the_quick_way_takes_what_the_slow_way_takes(text: str) -> None:
    try:
        expected: IPv4Address | None = IPv4Address(text)
    except ValueError:
        expected = None
    if expected is not None and no_host_has(expected):
        expected = None
    try:
        found = v.parse_address(text)
    except ValueError:
        found = None
    assert found == expected


@given(st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.lists(st.text())))
@pytest.mark.parametrize(
    "parse",
    [
        v.parse_name,
        v.parse_ifname,
        v.parse_address,
        v.parse_network,
        v.parse_address_range,
        services.parse_service,
        services.parse_port_range,
        services.parse_target,
        v.parse_place,
        services.parse_protocol,
        v.parse_hostname,
    ],
)
def test_anything_else_is_a_value_error(parse: Callable[[object], Any], value: object) -> None:
    reported = "nothing"
    try:
        parse(value)
    except ValueError as error:
        reported = str(error)
    assert reported


@given(
    st.from_regex(v.NAME_PATTERN.pattern, fullmatch=True) | st.from_regex(v.IFNAME_PATTERN.pattern, fullmatch=True)
)
def test_a_name_never_holds_what_a_shell_or_nft_reads(name: str) -> None:
    assert not set(name) & set(" \t\n;{}()$`'\"\\|&<>*?#!@,:/=")


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("tpc", services.PORT_PROTOCOLS, "tcp"),
        ("prots", ("ports", "to"), "ports"),
        ("health", ("default", "weight"), None),
    ],
)
def test_only_a_slip_of_the_finger_is_taken_for_another_word(
    written: str, known: tuple[str, ...], meant: str | None
) -> None:
    assert nearest(written, known) == meant
