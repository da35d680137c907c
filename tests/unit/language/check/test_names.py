"""Names of uplinks, interfaces and tenants that the gateway does not have."""

from __future__ import annotations

from tests.unit.language.specs import BASE, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "source NAT, unknown uplink": (
        "  sourceNat: [{name: a, as: isp-c}]",
        [("13:29", "spec.sourceNat[0].as", "there is no uplink 'isp-c'", "did you mean 'isp-b'?")],
    ),
    "source NAT, unknown interface": (
        "  sourceNat: [{name: a, in: lan9, as: isp-a}]",
        [("13:29", "spec.sourceNat[0].in", "there is no interface 'lan9'", "did you mean 'lan0'?")],
    ),
    "source NAT, unknown tenant": (
        "  sourceNat: [{name: a, tenant: red, as: isp-a}]",
        [
            (
                "13:33",
                "spec.sourceNat[0].tenant",
                "there is no tenant 'red'",
                "there are none: add one, or leave this out",
            )
        ],
    ),
    "forward, unknown uplink": (
        "  forwards:\n    web: {at: elsewhere, ports: 443/tcp, to: 192.168.1.80}",
        [("14:15", "spec.forwards.web.at", "there is no uplink 'elsewhere'", "there are: dsl, isp-a, isp-b")],
    ),
    "route, unknown uplink and interface": (
        "  routes: [{name: a, in: x, via: y}]",
        [
            ("13:26", "spec.routes[0].in", "there is no interface 'x'", "there are: lan0, ppp0, self, wan0, wan1"),
            ("13:34", "spec.routes[0].via", "there is no uplink 'y'", "there are: dsl, isp-a, isp-b"),
        ],
    ),
    "twice NAT, unknown uplink": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.16/28, as: 203.0.113.16/28, to: 10.2.0.0/28, becomes: 10.3.0.0/28, via: isp}",
        [("14:97", "spec.twiceNat.p.via", "there is no uplink 'isp'", "did you mean 'isp-b'?")],
    ),
    "twice NAT, unknown uplink and an address on none": (
        "  twiceNat:\n"
        "    p: {from: 192.168.1.16/28, as: 10.4.0.0/28, to: 10.2.0.0/28, becomes: 10.3.0.0/28, via: zz}",
        [
            (
                "14:36",
                "spec.twiceNat.p.as",
                "10.4.0.0/28 belongs to no uplink",
                "there is no uplink 'zz': add it to routed of the one that leads there; there are: dsl, isp-a, isp-b",
            ),
            ("14:93", "spec.twiceNat.p.via", "there is no uplink 'zz'", "there are: dsl, isp-a, isp-b"),
        ],
    ),
    "source NAT, masquerade": (
        "  sourceNat: [{name: a, as: masquerade}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "there is no uplink 'masquerade'",
                "an uplink's name does what masquerade does; there are: dsl, isp-a, isp-b",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


def test_all_rules_are_told_at_once_in_the_order_of_the_file() -> None:
    text = "  routes: [{name: a, in: lan0, via: x}]\n  forwards: {web: {at: y, to: 192.168.1.1}}\n  host: any\n"
    assert [reported[1] for reported in problems_in(BASE + text)] == ["spec.routes[0].via", "spec.forwards.web.at"]
