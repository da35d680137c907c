"""doctor against real namespaces: rulesets as others make them, and the gateway itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nvi_operator.doctor.survey import RouteUse, Survey
from nvi_operator.kernel.inspect import xt as survey_xt
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.gateway import GatewaySpec
from tests.lab import GatewayHost, Lab, Site
from tests.lab.net import Host
from tests.netns.scenarios import spec as scenario
from tests.netns.surveyed import SPEC, Expected, findings, matter, surveyed

pytestmark = pytest.mark.netns

FIXTURES = Path(__file__).resolve().parents[1] / "unit" / "doctor" / "fixtures"


DROPS = {("problem", "forward-drop")}
HOSTILE = {
    ("problem", "untracked-drop"),
    ("problem", "mark-write"),
    ("warning", "mark-write"),
    ("warning", "mark-match"),
    ("problem", "zone"),
    ("warning", "nat-order"),
}
DOCKER: Expected = {("warning", "raw-drop")}
FOUND: dict[str, tuple[Expected, Expected]] = {  # without a spec, with one
    "docker": (DROPS, DROPS | DOCKER),
    "docker-nftables": (set(), DOCKER),
    "firewalld": (DROPS | {("problem", "reverse-path-drop")}, DROPS | {("problem", "reverse-path-drop")}),
    "ufw": (DROPS, DROPS),
    "kube-proxy": (set(), set()),
    "tailscale": (set(), set()),
    "fw4-mwan3": (DROPS, DROPS),
    "hostile": (HOSTILE, HOSTILE | {("problem", "notrack")}),
    "adapted": (set(), set()),
}


@pytest.fixture
def host(lab: Lab) -> Host:
    return surveyed(lab)


def test_a_bare_namespace_is_fine(host: Host) -> None:
    assert matter(findings(host)) == set()
    assert matter(findings(host, SPEC)) == set()


@pytest.mark.parametrize("name", sorted(FOUND))
def test_others_rulesets(host: Host, name: str) -> None:
    host.nft((FIXTURES / f"{name}.nft").read_text(encoding="utf-8"))
    without, with_spec = FOUND[name]
    assert matter(findings(host)) == without
    assert matter(findings(host, SPEC)) == with_spec


def test_every_fixture_is_tested() -> None:
    assert {path.stem for path in FIXTURES.glob("*.nft")} == set(FOUND)


@pytest.mark.parametrize("name", ["firewalld", "fw4-mwan3", "hostile"])
def test_what_doctor_says_to_do_helps(host: Host, name: str) -> None:
    """Its nft commands are pasted into a shell; what they are for is gone then."""
    host.nft((FIXTURES / f"{name}.nft").read_text(encoding="utf-8"))
    healed: Expected = set()
    for finding in findings(host, SPEC):
        commands = [line for line in finding.todo.splitlines() if line.startswith("nft ")]
        if commands:
            healed.add((finding.level, finding.topic))
            host.run("sh", "-e", "-c", "\n".join(commands))
    assert healed
    assert not healed & matter(findings(host, SPEC))


@pytest.mark.parametrize("backend", ["docker", "docker-nftables"])
def test_the_ruleset_of_docker_is_read_down_to_the_container(host: Host, backend: str) -> None:
    host.nft((FIXTURES / f"{backend}.nft").read_text(encoding="utf-8"))
    forward: dict[str, Any] = {"forwards": {"web": {"ports": "80/tcp", "to": "172.17.0.2"}}}
    spec = GatewaySpec.model_validate(
        {**SPEC.model_dump(by_alias=True, exclude_none=True, exclude={"forwards"}), **forward}
    )
    found = findings(host, spec)
    assert ("problem", "raw-drop") in matter(found)
    if backend == "docker-nftables":
        return
    (drop,) = (finding for finding in found if finding.topic == "forward-drop")
    assert "ip filter FORWARD" in drop.what
    assert "iptables -I DOCKER-USER -o nvi0 -j ACCEPT" in drop.todo.splitlines()


def test_a_map_of_verdicts_is_read_down_to_the_chain_that_it_leads_to(host: Host) -> None:
    """As Docker 29 finds the chains of its bridges; a listing of the table without elements shows none of it."""
    host.nft(
        "table ip guard {\n"
        'map by-name { type ifname : verdict; elements = { "lan0" : jump closed } }\n'
        "chain closed { drop; }\n"
        "chain through { type filter hook forward priority filter; iifname vmap @by-name; }\n"
        "}"
    )
    (drop,) = (finding for finding in findings(host, SPEC) if finding.topic == "forward-drop")
    assert drop.level == "problem"
    assert "rule handle" in drop.what
    assert "ip guard through" in drop.what
    assert "closed" in drop.what
    host.nft('delete element ip guard by-name { "lan0" }')
    assert not [finding for finding in findings(host, SPEC) if finding.topic == "forward-drop"]


def test_rules_and_routes_of_others(host: Host) -> None:
    host.ip(
        "route add default dev wan1 table 51820",
        "rule add pref 220 lookup 220",
        "rule add pref 500 lookup 51820",
        "rule add pref 1001 iif wan0 lookup 1",
        "rule add pref 5210 fwmark 0x80000/0xff0000 lookup main",
        "rule add pref 6000 fwmark 0x10000/0xffff0000 lookup 100",
        "route add 192.0.2.0/24 dev wan1 table 7801",
        "route add 192.0.2.0/24 dev wan1 proto 78",
        "link set wan1 group 79",
    )
    host.run("ip", "-6", "rule", "add", "pref", "40", "from", "fd00:1::/64", "lookup", "9")
    assert matter(findings(host, SPEC)) == {
        ("problem", "rule-before"),
        ("warning", "rule-before"),
        ("warning", "rule-priority"),
        ("warning", "mark-rule"),
        ("problem", "route-table"),
        ("problem", "route-protocol"),
        ("warning", "link-group"),
    }
    (clash,) = (f for f in findings(host, SPEC) if f.topic == "rule-before" and f.level == "problem")
    host.run("sh", "-e", "-c", clash.todo)
    assert ("problem", "rule-before") not in matter(findings(host, SPEC))


@pytest.mark.parametrize(
    "words",
    [
        "not from 10.0.0.0/8 to 192.0.2.0/24 iif lan0 oif wan0 fwmark 0x5 lookup 9 suppress_prefixlength 0",
        "from all ipproto tcp sport 1-9 dport 80-81 tos 0x10 tun_id 7 uidrange 0-10 blackhole",
        "from all fwmark 0x0/0x40000000 goto 32766",
        "from all l3mdev",
    ],
)
def test_a_rule_is_told_as_ip_takes_it(host: Host, words: str) -> None:
    host.ip(f"rule add pref 5 {words}")
    (rule,) = (rule for rule in host.call(take_survey).rules if rule.priority == 5)
    assert str(rule) == f"pref 5 {words}"
    host.ip(f"rule del {rule}")


def test_ipsec_policies_for_forwarding_ask_for_a_word_in_the_spec(host: Host) -> None:
    between = "src 10.9.0.0/24 dst 192.168.1.0/24"
    template = "tmpl src 192.0.2.80 dst 203.0.113.2 proto esp mode tunnel"
    for way in ("in", "fwd"):
        host.run(*f"ip xfrm policy add {between} dir {way} {template}".split())
    (finding,) = (found for found in findings(host, SPEC) if found.topic == "ipsec")
    assert finding.level == "warning"
    assert finding.what.startswith("1 IPsec policies")
    dataplane = SPEC.dataplane.model_copy(update={"ipsec": True})
    assert not [f for f in findings(host, SPEC.model_copy(update={"dataplane": dataplane})) if f.topic == "ipsec"]


def test_routes_as_wide_as_half_the_internet(host: Host) -> None:
    host.ip(
        "link add tun0 type bridge",
        "link set tun0 up",
        "route add 0.0.0.0/1 dev tun0",
        "route add 128.0.0.0/1 dev tun0",
        "route add 2000::/3 dev tun0",
        "route add 0.0.0.0/2 dev wan0",
        "route add 224.0.0.0/4 dev lan0",
    )
    assert matter(findings(host, SPEC)) == {("problem", "wide-route")}
    (wide,) = (finding for finding in findings(host, SPEC) if finding.topic == "wide-route")
    host.run("sh", "-e", "-c", wide.todo)
    assert matter(findings(host, SPEC)) == set()


def test_interfaces_with_networks_that_the_spec_does_not_know(host: Host) -> None:
    many = (f"route add 10.{number // 256}.{number % 256}.0/24 via 10.200.0.2" for number in range(1, 2000, 2))
    host.ip(
        *(f"link add {ifname} type bridge" for ifname in ("br0", "br1", "br2")),
        *(f"link set {ifname} up" for ifname in ("br0", "br1")),
        "address add 10.200.0.1/24 dev br0",
        "address add 10.201.0.1/24 dev br1",
        "address add 10.202.0.1/24 dev br2",
        "address add fd00:201::1/64 dev br1",
        *many,
        "route add 10.203.0.0/24 nexthop via 10.201.0.2 nexthop via 192.168.1.2",
        "route add 10.204.0.0/24 via 192.168.1.2",
    )
    told = [finding for finding in findings(host, SPEC) if finding.topic == "undeclared-interface"]
    assert [finding.what.partition(" ")[0] for finding in told] == ["br0", "br1"]
    assert "# and more" in told[0].todo
    assert "{br1: {networks: [10.201.0.0/24, 10.203.0.0/24, fd00:201::/64]}}" in told[1].todo
    declared = {f"br{n}": {"networks": [f"10.{200 + n}.0.0/16"]} for n in (0, 1)}
    given = SPEC.model_dump(by_alias=True, exclude_none=True)
    spec = GatewaySpec.model_validate({**given, "interfaces": {**given["interfaces"], **declared}})
    told = [finding for finding in findings(host, spec) if finding.level != "ok"]
    assert {finding.topic for finding in told} == {"undeclared-network"}
    assert [finding.what.partition(" as well")[0] for finding in told if "br0" not in finding.what] == [
        "br1 leads to 10.203.0.0/24, fd00:201::/64",
        "lan0 leads to 10.203.0.0/24, 10.204.0.0/24",
    ]


def test_routes_of_main_that_stage_2_stumbles_over(host: Host) -> None:
    host.ip(
        "route add 10.9.0.0/16 nexthop via 203.0.113.5 dev wan0 nexthop via 192.168.1.5 dev lan0",
        "route add unreachable default metric 4000",
        "route add unreachable ::/0 metric 4000",
    )
    found = [finding for finding in findings(host, SPEC) if finding.topic in ("multipath-route", "refusing-default")]
    assert sorted(finding.topic for finding in found) == ["multipath-route", "refusing-default", "refusing-default"]
    host.ip("route add default via 203.0.113.1")
    host.run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "wan0")
    assert "refusing-default" not in {topic for _, topic in matter(findings(host, SPEC))}


def test_a_few_of_very_many_routes_are_kept_and_all_wide_ones(host: Host) -> None:
    host.ip(
        *(f"route add 10.{number // 256}.{number % 256}.0/24 dev lan0" for number in range(1000)),
        "route add 128.0.0.0/1 dev lan0",
        "route add 10.9.9.9 dev wan1 table 1000 proto 99",
    )
    taken: Survey = host.call(take_survey)
    kept = [route for route in taken.main_routes if route.ifname == "lan0" and route.destination.version == 4]
    assert len(kept) < 50
    assert [str(route.destination) for route in kept if route.wide] == ["128.0.0.0/1"]
    assert RouteUse(4, 1000, 99) in taken.routes


def test_the_survey_is_of_the_namespace_and_leaves_no_trace(host: Host, lab: Lab) -> None:
    other = lab.host("other")
    other.nft("table ip elsewhere { }")
    other.write("net/ipv4/ip_forward", "1")
    before = host.run("ip", "-d", "link").stdout
    taken: Survey = host.call(take_survey)
    assert host.run("ip", "-d", "link").stdout == before
    assert set(taken.links) == {"lo", "lan0", "wan0", "wan1"}
    assert taken.nft_objects == ()
    assert taken.sysctls["net/ipv4/ip_forward"] == "0"
    assert taken.kinds["ifb"] in ("yes", "loadable")
    assert taken.bpf_error is None
    assert other.call(take_survey).ruleset.tables == (("ip", "elsewhere"),)


def test_an_applied_gateway_is_no_cause_for_alarm(site: Site, gateway: GatewayHost) -> None:
    text = scenario()
    gateway.apply(text)
    spec = load_texts({"gateway.yaml": text.encode()}).spec
    assert matter(findings(site.gateway, spec)) == set()
    assert matter(findings(site.gateway)) == set()


def test_the_command(host: Host) -> None:
    gateway = GatewayHost(host)
    assert gateway.nvictl("doctor").returncode == 0
    host.nft((FIXTURES / "ufw.nft").read_text(encoding="utf-8"))
    told = gateway.nvictl("doctor", "-o", "json", check=False)
    assert told.returncode == 1
    assert json.loads(told.stdout)["ok"] is False


def test_without_nft_the_rest_is_told(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert matter(findings(host)) == {("problem", "nft-command")}


def test_an_nft_that_crashes_is_a_finding(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stands in for a listing that kills nft 1.0.6: one table crashes, the other is judged nevertheless."""
    real = host.run("sh", "-c", "command -v nft").stdout.strip()
    fake = tmp_path / "nft"
    fake.write_text(f'#!/bin/sh\ncase "$*" in *crash*) kill -SEGV $$;; esac\nexec {real} "$@"\n', encoding="utf-8")
    fake.chmod(0o755)
    host.nft("table ip crash { }\ntable ip t { chain c { type filter hook forward priority 0; policy drop; }; }")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")
    found = findings(host)
    assert matter(found) == {("warning", "nft-listing"), *DROPS}
    assert any("SIGSEGV" in finding.what for finding in found)


def test_extensions_of_iptables_are_read_by_their_text(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """iptables need not be installed for this: what nft would list for its rules is given."""
    opaque = {"xt": {"type": "match", "name": "any"}}
    text = """table ip filter { # handle 1
        chain FORWARD { # handle 1
                ct state related,established counter accept # handle 2
                xt match "set" accept # handle 3
                counter jump other comment "# handle 9" # handle 4
        }
}"""
    listed: list[Any] = [
        {"chain": {"family": "ip", "table": "filter", "name": name, "handle": handle}}
        for handle, name in enumerate(("FORWARD", "other"), start=1)
    ]
    for handle in (2, 3, 4):
        rule = {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": handle, "expr": [opaque]}
        listed.append({"rule": rule})
    real = survey_xt.run

    def run(command: Any, *, text_: str = text, **options: Any) -> tuple[int, str, str]:
        return (0, text_, "") if "-a" in command else real(command, **options)

    monkeypatch.setattr(survey_xt, "run", run)
    read = {i["rule"]["handle"]: i["rule"]["expr"] for i in host.call(survey_xt.translated, listed) if "rule" in i}
    assert read[2][0]["match"]["right"] == ["established", "related"]
    assert read[3] == [opaque], "there is no translation for it"
    assert read[4][-1] == {"jump": {"target": "other"}}
    assert host.run("nft", "list", "tables").stdout == ""


def test_dormant_tables_and_chains_without_a_device(host: Host) -> None:
    """nft 1.0.6 prints neither the flag of such a table in JSON nor the device of such a chain."""
    host.nft("add table inet fw { flags dormant; }")
    host.nft("add chain inet fw forward { type filter hook forward priority 0; policy drop; }")
    host.nft("add table netdev early")
    host.ip("link add nd0 type veth peer name nd1")
    host.nft("add chain netdev early in { type filter hook ingress device nd0 priority 0; }")
    assert matter(findings(host, SPEC)) == set()
    assert {"nft-tables"} <= {finding.topic for finding in findings(host, SPEC)}
    host.ip("link del nd0")
    assert matter(findings(host, SPEC)) == {("warning", "nft-ingress")}
    host.nft("add table inet fw")  # awake
    assert matter(findings(host, SPEC)) == {("warning", "nft-ingress"), ("problem", "forward-drop")}


def test_ports_of_a_bridge_and_alternative_names(host: Host) -> None:
    host.ip("link add br0 type bridge", "link set wan1 master br0", "link set br0 up")
    host.ip("link property add dev wan0 altname enp5s0")
    aliased = SPEC.model_dump(by_alias=True, exclude_none=True)
    aliased["uplinks"]["isp-a"]["interface"] = "enp5s0"
    whats = [f.what for f in findings(host, GatewaySpec.model_validate(aliased)) if f.topic == "interfaces"]
    assert len(whats) == 2
    assert whats[0].startswith("enp5s0 is an alternative name of wan0")
    assert whats[1].startswith("wan1 is a port of bridge br0")


def test_where_a_full_table_can_be_widened(host: Host) -> None:
    """The kernel refuses it in any namespace but the first, and `sysctl -w` does not tell by its exit code."""
    assert not host.call(take_survey).conntrack_max_is_settable
    refused = host.run("sysctl", "-w", "net.netfilter.nf_conntrack_max=1000000", check=False)
    assert "nf_conntrack_max" in refused.stderr
