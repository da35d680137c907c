"""1:1 NAT, pools of source NAT, and twice NAT."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, NOWHERE, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "twice NAT, both sides by the same numbers": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 203.0.113.24/29, becomes: 192.168.1.8/29, "
        "via: isp-a}",
        [
            (
                "14:56",
                "spec.twiceNat.p.to",
                "203.0.113.24/29 overlaps as 203.0.113.16/28, and from 192.168.1.0/28 overlaps its becomes "
                "192.168.1.8/29: answers would look like what is sent there, and go back",
                "choose addresses for the other side that no `as` has",
            )
        ],
    ),
    "twice NAT, another entry's numbers for the other side": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 10.2.0.0/28, becomes: 192.168.1.0/28, via: isp-a}\n"
        "    q: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 203.0.113.16/28, becomes: 10.9.0.0/28, via: isp-a}",
        [
            (
                "15:56",
                "spec.twiceNat.q.to",
                "203.0.113.16/28 overlaps as 203.0.113.16/28 of twiceNat 'p', and from 192.168.1.0/28 overlaps its "
                "becomes 192.168.1.0/28: answers would look like what is sent there, and go back",
                "choose addresses for the other side that no `as` has",
            )
        ],
    ),
    "1:1 and forward": (
        "  static:\n    a: {address: 192.168.1.80, as: 203.0.113.17}\n"
        "  forwards:\n    web: {at: 203.0.113.17, ports: 443/tcp, to: 192.168.1.81}",
        [
            (
                "16:15",
                "spec.forwards.web.at",
                "203.0.113.17 is 192.168.1.80/32 already, by static 'a'",
                "publish on another address, or write the 1:1 entry as a forward and a rule of sourceNat",
            )
        ],
    ),
    "1:1 overlapping, both sides": (
        "  static:\n"
        "    a: {address: 192.168.1.80, as: 203.0.113.17}\n"
        "    b: {address: 192.168.1.80/30, as: 203.0.113.16/30}",
        [
            (
                "15:18",
                "spec.static.b.address",
                "192.168.1.80/30 overlaps 192.168.1.80/32 of static 'a'",
                "each address has one alias",
            ),
            (
                "15:39",
                "spec.static.b.as",
                "203.0.113.16/30 overlaps 203.0.113.17/32 of static 'a'",
                "a public address stands for one address",
            ),
        ],
    ),
    "1:1 towards networks that overlap": (
        "  static:\n"
        "    a: {address: 192.168.1.80, as: 203.0.113.17, to: 192.0.2.0/24}\n"
        "    b: {address: 192.168.1.81, as: 203.0.113.17, to: [192.0.2.128/25, 198.18.0.0/15]}",
        [
            (
                "15:36",
                "spec.static.b.as",
                "203.0.113.17/32 overlaps 203.0.113.17/32 of static 'a'",
                "a public address stands for one address",
            ),
        ],
    ),
    "1:1 for an interface that is none, and for an uplink's": (
        "  static: {a: {address: 192.168.1.80, as: 203.0.113.17, in: [lan9, wan0]}}",
        [
            ("13:61", "spec.static.a.in", "there is no inside interface 'lan9'", "did you mean 'lan0'?"),
            ("13:61", "spec.static.a.in", "there is no inside interface 'wan0'", "did you mean 'lan0'?"),
        ],
    ),
    "1:1 for one interface, twice": (
        "  static:\n"
        "    a: {address: 192.168.1.80, as: 203.0.113.17, in: lan0}\n"
        "    b: {address: 192.168.1.81, as: 203.0.113.17, in: lan0}",
        [
            (
                "15:36",
                "spec.static.b.as",
                "203.0.113.17/32 overlaps 203.0.113.17/32 of static 'a'",
                "a public address stands for one address",
            ),
        ],
    ),
    "nptv6 of networks that no interface has": (
        "  static: {a: {address: 'fd00:9::/48', as: '2001:db8:a::/48', nptv6: true}}",
        [
            (
                "13:25",
                "spec.static.a.address",
                "nptv6: no interface declares a network in fd00:9::/48",
                "name the networks that live there in networks of an interface",
            ),
            (
                "13:44",
                "spec.static.a.as",
                "2001:db8:a::/48 belongs to no uplink",
                NOWHERE + ", or to an interface's knownAs",
            ),
        ],
    ),
    "1:1 of the gateway": (
        "  static:\n    a: {address: 198.51.100.2, as: 203.0.113.17}",
        [
            (
                "14:18",
                "spec.static.a.address",
                "198.51.100.2 is the gateway's own address (uplink 'isp-b')",
                "name the host that is to have another address",
            )
        ],
    ),
    "pool too small": (
        "  sourceNat: [{name: a, from: 192.168.1.0/24, as: {pool: 203.0.113.16/29, overload: false}}]",
        [
            (
                "13:51",
                "spec.sourceNat[0].as",
                "the pool is too small: 256 sources, 8 addresses, and overload is false",
                "make the pool as large as from, or let clients share with overload: true",
            )
        ],
    ),
    "pool too small for all that is inside": (
        "  sourceNat: [{name: a, in: lan0, as: {pool: 203.0.113.16/28, overload: false}}]",
        [
            (
                "13:39",
                "spec.sourceNat[0].as",
                "the pool is too small: 256 sources, 16 addresses, and overload is false",
                "make the pool as large as from, or let clients share with overload: true",
            )
        ],
    ),
    "pool for no source": (
        "  sourceNat: [{name: a, in: wan1, as: {pool: 203.0.113.16/28, overload: false}}]",
        [
            (
                "13:39",
                "spec.sourceNat[0].as",
                "overload: false gives each source its own address, and there are no sources",
                "name them in from",
            )
        ],
    ),
    "pool with an address twice": (
        "  sourceNat: [{name: a, as: [203.0.113.17-203.0.113.20, 203.0.113.18]}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "203.0.113.18 overlaps 203.0.113.17-203.0.113.20 of the same pool",
                "name each address once",
            )
        ],
    ),
    "source that a pool has two addresses for": (
        "  sourceNat: [{name: a, from: [192.168.1.8/30, 192.168.1.9], as: {pool: 203.0.113.16/29, overload: false}}]",
        [
            (
                "13:31",
                "spec.sourceNat[0].from",
                "192.168.1.9/32 overlaps 192.168.1.8/30, and overload is false",
                "name each source once: it has one address of the pool",
            )
        ],
    ),
    "twice NAT, two aliases in one": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
        "    q: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/25, becomes: 10.8.0.0/25, via: isp-b}",
        [
            (
                "15:56",
                "spec.twiceNat.q.to",
                "10.2.0.0/25 overlaps 10.2.0.0/24 of twiceNat 'p'",
                "each alias stands for one network",
            )
        ],
    ),
    "twice NAT, two networks in one alias": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
        "    q: {from: 192.168.1.8/29, as: 203.0.113.16/29, to: 10.3.0.0/24, becomes: 10.8.0.0/24, via: isp-b}",
        [
            (
                "15:35",
                "spec.twiceNat.q.as",
                "203.0.113.16/29 is another network's already: it overlaps 203.0.113.16/29 of twiceNat 'p'",
                "each network needs its own alias",
            )
        ],
    ),
    "twice NAT, two ways to one place": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
        "    q: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.3.0.0/24, becomes: 10.9.0.0/24, via: isp-a}",
        [
            (
                "15:78",
                "spec.twiceNat.q.becomes",
                "10.9.0.0/24 leads two ways: it overlaps 10.9.0.0/24 of twiceNat 'p'",
                "take the same uplink, or another `as`",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


TWICE = "twiceNat: {a: {from: %s/28, as: 203.0.113.16/28, to: 10.2.0.0/28, becomes: %s/28, via: isp-a}}"


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ("static: {a: {address: 127.0.0.1, as: 203.0.113.17}}", "address 127.0.0.1/32"),
        (TWICE % ("127.1.0.0", "10.9.0.0"), "from 127.1.0.0/28"),
        (TWICE % ("192.168.1.0", "127.1.0.0"), "becomes 127.1.0.0/28"),
    ],
)
def test_what_is_translated_to_loopback_is_refused(section: str, field: str) -> None:
    ((_, path, message, hint),) = problems_in(BASE + f"  {section}\n")
    assert (path, message) == (f"spec.{section.split(':')[0]}.a", f"{field} is loopback: no host has it")
    assert hint.startswith("name an address of an inside interface")


@pytest.mark.parametrize(
    ("section", "field", "what"),
    [
        ("static: {a: {address: 'fe80::9', as: '2001:db8:a:1::9'}}", "static.a", "address fe80::9/128"),
        ("forwards: {a: {ports: 80/tcp, to: 'fe80::9'}}", "forwards.a.to", "fe80::9"),
        ("forwards: {a: {ports: 80/tcp, to: ['192.168.1.80', '[fe80::9]:80']}}", "forwards.a.to[1]", "fe80::9"),
        ("redirects: {a: {ports: 53/udp, to: 'fe80::9'}}", "redirects.a.to", "fe80::9"),
    ],
)
def test_what_is_translated_to_a_link_local_address_is_refused(section: str, field: str, what: str) -> None:
    ((_, path, message, hint),) = problems_in(BASE + f"  {section}\n")
    assert (path, message) == (f"spec.{field}", f"{what} is link-local: no router forwards to it")
    assert hint == "name the global or unique-local address of the host"
