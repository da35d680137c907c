"""What a reconcile guarantees, on the fake kernel and on a real one."""

from __future__ import annotations

import pytest

from nvi_operator.kinds import KINDS
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Action
from tests.contract.machines import Machine, applied, seen, spec_of

UPLINKS = """
  uplinks:
    isp-a:
      interface: wan0
      nextHop: [203.0.113.1, 2001:db8:a::1]
      addresses: [203.0.113.2, 2001:db8:a::2]
      routed: [203.0.113.16/28, "2001:db8:a:1::/64"]
      default: true
    isp-b:
      interface: wan1
      nextHop: [198.51.100.1, 2001:db8:b::1]
      addresses: [198.51.100.2, 2001:db8:b::2]
"""
LAN = """
  interfaces:
    lan0: { networks: [192.168.1.0/24, "fd00:1::/64"] }
"""
EVERYONE = """
  sourceNat:
    - { name: ping, protocol: [icmp, icmpv6], as: isp-b }
    - { name: odd, protocol: [gre, esp, ah, sctp, udplite], as: isp-b }
    - { name: everyone, as: isp-a }
"""

SPECS = {
    "plain": LAN + UPLINKS + EVERYONE,
    "skb-iif": "  dataplane: { inInterface: skb_iif, hideHop: true }" + LAN + UPLINKS + EVERYONE,
    "strict": "  guards: { antiSpoof: strict }" + LAN + UPLINKS + EVERYONE,
    "ipv4-only": """
  interfaces:
    lan0: { networks: 192.168.1.0/24 }
  uplinks:
    isp-a: { interface: wan0, nextHop: auto, addresses: [203.0.113.2] }
  sourceNat:
    - { name: ports, as: { uplinks: { isp-a: 1 }, ports: 20000-29999 } }
""",
    "forwards": LAN
    + UPLINKS
    + EVERYONE
    + """
  forwards:
    web: { ports: 443/tcp, to: ["192.168.1.80:8443", "[fd00:1::80]:8443"] }
    games: { at: isp-b, ports: 27000-27050/udp, to: 192.168.1.80 }
    farm: { at: isp-a, ports: 80/tcp, to: { "192.168.1.80": 3, "192.168.1.81": 1 }, pick: round-robin }
    office: { at: isp-a, ports: 5432/tcp, from: [192.0.2.0/24, 192.0.3.0/24], to: 192.168.1.80 }
    admin: { ports: 9443/tcp, to: "192.168.1.80:443", hairpin: false }
    dmz: { at: 203.0.113.17, to: 192.168.1.80 }
  static:
    host: { address: 192.168.1.90, as: 203.0.113.30 }
    net: { address: "fd00:1::/64", as: "2001:db8:a:1::/64" }
""",
    "tenants": """
  interfaces:
    lan0: { tenant: red, networks: 192.168.1.0/24 }
    lan1: { tenant: blue, networks: 192.168.1.0/24 }
"""
    + UPLINKS
    + """
  sourceNat:
    - { name: red, tenant: red, as: isp-a }
    - { name: blue, tenant: blue, as: isp-b }
  forwards:
    red-web: { tenant: red, at: isp-a, ports: [443/tcp, 8000-8010/tcp], to: 192.168.1.80 }
  static:
    red-server: { tenant: red, address: 192.168.1.90, as: 203.0.113.30 }
""",
    "routes": LAN
    + UPLINKS
    + """
  sourceNat:
    - { name: branch, to: 10.50.0.0/16, as: unchanged }
    - { name: spread, as: { uplinks: { isp-a: 3, isp-b: 1 }, pick: random } }
  routes:
    - { name: branch, to: 10.50.0.0/16, via: isp-b }
    - { name: voice, in: lan0, from: 203.0.113.2, to: 192.0.2.0/25, via: isp-a }
""",
    "many-sources": LAN
    + UPLINKS.replace("203.0.113.16/28", ", ".join(f"203.0.113.{n}" for n in range(5, 120, 3)))
    + """
  sourceNat:
    - { name: pool, as: { pool: 203.0.113.5, ports: 20000-20999 } }
    - { name: rest, as: { pool: [203.0.113.8, 203.0.113.11], pick: round-robin } }
""",
    "by-interface": LAN
    + UPLINKS
    + """
  sourceNat:
    - { name: ping, in: wan1, protocol: icmp, as: isp-a }
    - { name: ping6, in: wan1, protocol: icmpv6, as: isp-a }
    - { name: tcp, in: wan1, protocol: tcp, as: { uplinks: { isp-a: 1, isp-b: 1 } } }
    - { name: mail, in: [wan0, wan1], ports: [25/tcp, 25/udp], as: isp-a }
    - { name: rest, in: wan1, as: { uplinks: { isp-a: 1, isp-b: 1 }, persistent: true } }
""",
    "every-address": LAN
    + UPLINKS
    + """
  sourceNat:
    - { name: as-is, from: 192.168.1.7, to: 0.0.0.0/0, as: unchanged }
    - { name: pool, from: [0.0.0.0/1, 128.0.0.0/1], as: { pool: 203.0.113.16/28, ports: 9999-20000 } }
    - { name: pool6, from: "::/0", as: { pool: "2001:db8:a:1::/64", ports: 20000-20999 } }
  forwards:
    web: { at: isp-a, ports: 443/tcp, from: [0.0.0.0/0, "::/0"], to: 192.168.1.80 }
  routes:
    - { name: all-of-lan, in: lan0, from: [10.0.0.0/8, 0.0.0.0/0], to: "0.0.0.0/0", via: isp-b }
    - { name: six, to: "::/0", via: isp-b }
""",
    "device-renamed": "  dataplane: { device: nat7 }" + LAN + UPLINKS + EVERYONE,
    "absent-interface": LAN.replace("lan0", "lan9") + UPLINKS.replace("wan1", "ppp9") + EVERYONE,
}

each_spec = pytest.mark.parametrize("spec", [spec_of(text) for text in SPECS.values()], ids=list(SPECS))


@each_spec
def test_what_was_applied_is_what_is_observed(machine: Machine, spec: GatewaySpec) -> None:
    applied(machine, spec)
    left = seen(machine, spec)
    for kind in KINDS:
        assert left.before.of_kind(kind) == left.after.of_kind(kind)
    assert not left


@each_spec
def test_a_second_apply_has_nothing_to_do(machine: Machine, spec: GatewaySpec) -> None:
    assert applied(machine, spec)
    assert not applied(machine, spec)


@each_spec
def test_down_removes_what_is_owned_and_nothing_else(machine: Machine, spec: GatewaySpec) -> None:
    before = machine.foreign()
    applied(machine, spec)
    assert machine.owned()
    applied(machine, None)
    assert machine.owned() == []
    assert machine.foreign() == before


@pytest.mark.parametrize("name", [name for name in SPECS if name != "forwards"])
def test_any_spec_can_follow_another_and_go_again(machine: Machine, name: str) -> None:
    one, other = spec_of(SPECS["forwards"]), spec_of(SPECS[name])
    before = machine.foreign()
    applied(machine, one)
    first = seen(machine, one).before
    applied(machine, other)
    assert not seen(machine, other)
    applied(machine, one)
    assert seen(machine, one).before == first
    applied(machine, None)
    assert machine.owned() == []
    assert machine.foreign() == before


def test_each_kind_of_object_is_among_what_is_compared(machine: Machine) -> None:
    done = applied(machine, spec_of(SPECS["plain"]))
    # The module is the other dataplane's; flow caches and announced addresses are there only if a spec asks for them.
    assert {change.ref.kind for change in done.steps} == KINDS.keys() - {"module", "flow-cache", "proxy-neighbour"}
    assert {change.action for change in done.steps} == {Action.CREATE}
