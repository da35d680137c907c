"""What no rule forbids, beside much that looks like it."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, HEAD, TENANTS, UPLINK_A, from_inside, load, uplinks


def many_forwards(count: int) -> str:
    lines = "".join(f"    f{n}: {{at: isp-b, ports: {n + 1}/tcp, to: 192.168.1.80}}\n" for n in range(count))
    return "  forwards:\n" + lines


GOOD = {
    "own address in a prefix that is routed to it": uplinks(UPLINK_A.replace("203.0.113.16/28", "203.0.113.0/28")),
    "an uplink's address of a family that its wire does not have": uplinks(
        "a: {interface: wan0, addresses: 100.64.7.2, routed: '2001:db8:a:1::/64', translateTo: '2001:db8:a:1::1'}",
        interfaces="lan0: {networks: [192.168.1.0/24, 'fd00:1::/64']}",
        more="  sourceNat: [{name: six, from: 'fd00:1::/64', as: a}]\n",
    ),
    "an alias instead of an uplink": uplinks(
        UPLINK_A,
        interfaces="lan0: {networks: 192.168.1.0/24, knownAs: 10.1.0.0/24}",
        more="  static: {a: {address: 192.168.1.0/24, as: 10.1.0.0/24}}\n",
    ),
    "a whole address beside its ports": BASE
    + "  forwards:\n    a: {at: isp-b, to: 192.168.1.80}\n    b: {at: isp-b, ports: 25/tcp, to: 192.168.1.81}\n",
    "protocols without ports beside ports and a whole address": BASE
    + "  forwards:\n    a: {at: isp-b, to: 192.168.1.80}\n    b: {at: isp-b, protocol: esp, to: 192.168.1.81}\n"
    + "    c: {at: isp-b, ports: 500/udp, to: 192.168.1.82}\n"
    + "    d: {at: isp-b, protocol: gre, from: 192.0.2.0/25, to: 192.168.1.80}\n"
    + "    e: {at: isp-b, protocol: 47, from: 192.0.2.128/25, to: 192.168.1.81}\n",
    "redirects of one port for other clients, or in other families": BASE
    + "  redirects:\n    a: {ports: 53/udp, to: 192.168.1.53, from: 192.168.1.0/25}\n"
    + "    b: {ports: 53/udp, to: '192.168.1.54:5353', from: 192.168.1.128/25}\n"
    + "    c: {ports: 53/udp, to: '[fd00:1::53]:5353'}\n    d: {in: [lan0], ports: 123/udp, to: self}\n",
    "one port, other protocols": BASE
    + "  forwards:\n    a: {at: isp-b, ports: [53/udp, 53/tcp], to: 192.168.1.80}\n",
    "one port, other clients": BASE
    + "  forwards:\n    a: {at: isp-b, ports: 22/tcp, from: 192.0.2.0/25, to: 192.168.1.80}\n"
    + "    b: {at: isp-b, ports: 22/tcp, from: 192.0.2.128/25, to: 192.168.1.81}\n",
    "one port, sent to from other ports": BASE
    + "  forwards:\n    a: {at: isp-b, ports: 500/udp, fromPorts: [500/udp, 4500/udp], to: 192.168.1.80}\n"
    + "    b: {at: isp-b, ports: 500/udp, fromPorts: 1024-4499/udp, to: 192.168.1.81}\n",
    "one port, other family, on a dynamic uplink": BASE
    + "  forwards:\n    a: {at: dsl, ports: 443/tcp, to: 192.168.1.80}\n"
    + "    b: {at: dsl, ports: 443/tcp, to: 'fd00:1::80'}\n",
    "balanced ranges of one size": BASE
    + "  forwards:\n    a:\n      at: isp-b\n      ports: 8000-8009/udp\n"
    + "      to: {'192.168.1.80:9000-9009': 2, '192.168.1.81:7000-7009': 1}\n",
    "a range as it is may be as long as it likes": BASE
    + "  forwards:\n    a: {at: isp-b, ports: 1024-65535/udp, to: 192.168.1.80}\n",
    "a server of the only tenant that has it": TENANTS
    + "  forwards: {web: {at: 203.0.113.17, ports: 80/tcp, to: 172.17.0.9}}\n",
    "source NAT by interface": TENANTS + "  sourceNat: [{name: a, in: red0, from: 192.168.1.0/25, as: isp-a}]\n",
    "unchanged among ourselves": uplinks(
        UPLINK_A, "b: {interface: wan1}", more="  sourceNat: [{name: x, to: 192.168.1.0/25, as: unchanged}]\n"
    ),
    "255 tenants": HEAD
    + "spec:\n  interfaces:\n"
    + "".join(f"    i{n}: {{tenant: t{n}, networks: 192.168.1.0/24}}\n" for n in range(255)),
    "one site, several partners": BASE
    + "  twiceNat:\n"
    + "    p: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.2.0.0/24, becomes: 10.9.0.0/24, via: isp-b}\n"
    + "    q: {from: 192.168.1.0/29, as: 203.0.113.16/29, to: 10.3.0.0/24, becomes: 10.8.0.0/24, via: isp-a}\n",
    "1:1 as one thing here, and as another there": BASE
    + "  static:\n    a: {address: 192.168.1.0/28, as: 203.0.113.16/28}\n"
    + "    b: {address: 192.168.1.80, as: 203.0.113.17, to: 192.0.2.0/24}\n"
    + "    c: {address: 192.168.1.81, as: 203.0.113.17, to: 198.18.0.0/15}\n"
    + "    d: {address: 192.168.1.80, as: 203.0.113.18, to: 198.18.0.0/15}\n",
    "one alias, by who asks": TENANTS.replace("red0: {", "red0: {knownAs: 10.9.0.0/24, ").replace(
        "blue0: {", "blue0: {knownAs: 10.9.0.0/24, "
    )
    + "  static:\n    a: {tenant: red, address: 192.168.1.0/24, as: 10.9.0.0/24, in: [blue0, lan0]}\n"
    + "    b: {tenant: blue, address: 192.168.1.0/24, as: 10.9.0.0/24, in: red0}\n"
    + "    c: {tenant: red, address: 192.168.1.0/24, as: 10.9.0.0/24}\n",
    "a forward of what is another's alias for a tenant only": TENANTS
    + "  static: {a: {tenant: red, address: 192.168.1.80, as: 203.0.113.17, in: blue0}}\n"
    + "  forwards: {web: {tenant: blue, at: 203.0.113.17, ports: 80/tcp, to: 192.168.1.80}}\n",
    "1:1 of what another leaves out": BASE
    + "  static:\n    a: {address: 192.168.1.0/28, as: 203.0.113.16/28, except: [192.168.1.1, 203.0.113.18]}\n"
    + "    b: {address: 192.168.1.1, as: 203.0.113.18}\n    c: {address: 192.168.1.2, as: 203.0.113.17}\n",
    "a forward of an uplink's address within a prefix": BASE.replace("203.0.113.16/28", "203.0.113.0/24")
    + "  static: {a: {address: 192.168.1.0/28, as: 203.0.113.0/28}}\n"
    + "  forwards: {web: {at: isp-a, ports: 443/tcp, to: 192.168.1.80}}\n",
    "a pool as large as its sources": BASE
    + "  sourceNat: [{name: a, from: 192.168.1.0/28, as: {pool: 203.0.113.16/28, overload: false}}]\n",
    "a default of each family": uplinks(
        UPLINK_A.replace("}", ", default: true}"), "b: {interface: wan1, addresses: '2001:db8::2', default: true}"
    ),
    "a route from inside, of what stays as it is": from_inside("{name: x, from: 192.168.1.0/25, as: unchanged}"),
    "a route from inside, of what may stay as it is": from_inside("{name: x, to: 192.0.2.0/24, as: unchanged}"),
    "a route from inside, where an uplink has an address": from_inside(has="addresses: 192.168.1.11"),
    "a route from inside, where an uplink may come to have one": from_inside(has="nextHop: auto"),
    "a route from inside and elsewhere": from_inside().replace("192.168.1.10/31", "192.168.0.0/16"),
    "every port of an address": BASE + many_forwards(2000),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_only_looks_wrong_is_taken(text: str) -> None:
    load(text)
