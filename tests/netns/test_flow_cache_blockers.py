"""What keeps the flow cache off, in rules as nft lists them: every row of the tables of docs/how-to/flow-cache.md."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.doctor.flow_cache import blockers
from nvi_operator.doctor.footprint import footprint
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.language.model.gateway import GatewaySpec
from tests.lab import Lab
from tests.lab.net import Host

pytestmark = pytest.mark.netns

FIXTURES = Path(__file__).resolve().parents[1] / "unit/doctor/fixtures"
PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/flow-cache.md"
ROW = re.compile(r"^\| `(?P<rule>(?:[^`])+)` \| (?:`(?P<reason>\w+)`)? ?\|", re.M)
SPEC = GatewaySpec.model_validate(
    {
        "interfaces": {"lan0": {"networks": ["192.168.1.0/24", "fd00:1::/64"]}},
        "uplinks": {
            "isp-a": {"interface": "wan0", "nextHop": "203.0.113.1", "addresses": "203.0.113.2", "default": True},
        },
    }
)
NAMED = """
table inet fw {
    counter web { }
    quota month { over 10 mbytes }
    set blocked { type ipv4_addr; }
    set counted { type ipv4_addr; counter; }
    set metered { type ipv4_addr; flags dynamic; quota over 10 mbytes; }
    set seen { type ipv4_addr; flags dynamic,timeout; timeout 5m; }
    ct helper ftp-21 { type "ftp" protocol tcp; }
    ct timeout short { protocol udp; l3proto ip; policy = { unreplied: 5, replied: 6 }; }
    ct timeout long { protocol udp; l3proto ip; policy = { unreplied: 5, replied: 60 }; }
}
"""
# Of kernels that lack them; as libnftables-json(5) has it.
LISTED = {"queue num 1": [{"queue": {"num": 1}}]}


def rows() -> list[tuple[str, str | None]]:
    """The rules of the two tables of rules, and the reasons for which they block."""
    text = PAGE.read_text(encoding="utf-8").partition("## Everything else")[0]
    return [(row["rule"].replace(r"\|", "|"), row["reason"]) for row in ROW.finditer(text)]


@pytest.fixture(scope="module")
def found() -> dict[str, set[str]]:
    """The reasons found, by rule: each is in a base chain of its own."""
    with Lab() as lab:
        return judged(lab.host("firewall"))


def judged(host: Host) -> dict[str, set[str]]:
    host.nft(NAMED)
    absent = []
    for number, (rule, _) in enumerate(rows()):
        text = f"table inet fw {{ chain r{number} {{ type filter hook forward priority 0; RULE\n }}\n }}"
        refused = host.run("nft", "-f", "-", text=text.replace("RULE", rule), check=False).stderr
        if refused:
            assert rule in LISTED, f"{rule}: {refused}"
            host.nft(text.replace("RULE", ""))
            absent.append({"rule": {"family": "inet", "table": "fw", "chain": f"r{number}", "expr": LISTED[rule]}})
    survey = host.call(take_survey, SPEC)
    survey = replace(survey, nft_objects=(*survey.nft_objects, *absent), conntrack_functions=False)
    reasons: dict[str, set[str]] = {rule: set() for rule, _ in rows()}
    for blocker in blockers(survey, footprint(SPEC)):
        place = re.match(r"rule inet fw r(\d+) ", blocker.where)
        if place is None:  # a rule with `ct bytes` switches conntrack's accounting on (nft_ct_get_init())
            assert blocker.reason == "conntrack_accounting", blocker
            continue
        reasons[rows()[int(place[1])][0]].add(blocker.reason)
    return reasons


@pytest.mark.parametrize(("rule", "reason"), [pytest.param(rule, reason, id=rule) for rule, reason in rows()])
def test_a_rule_blocks_as_the_page_says(found: dict[str, set[str]], rule: str, reason: str | None) -> None:
    assert found[rule] == ({reason} if reason else set())


# What other programs load (tests/unit/doctor/fixtures), and texts after what users have.
COUNTING = """
table inet router {
    chain forward {
        type filter hook forward priority filter; policy drop;
        meta mark & 0x80000000 != 0 accept
        ip saddr 192.168.1.0/24 oifname "nvi0" counter comment "upload of the house"
        ct state established,related accept
        iifname "lan0" oifname "nvi0" accept
    }
}
"""
HOTSPOT = """
table inet hotspot {
    set paid { type ipv4_addr; flags timeout; }
    chain forward {
        type filter hook forward priority filter; policy accept;
        iifname "lan0" ip saddr != @paid limit rate over 125 kbytes/second drop
    }
}
"""
BANS = """
table ip crowdsec {
    set blacklist { type ipv4_addr; flags timeout; }
    chain forward {
        type filter hook forward priority filter - 10; policy accept;
        ct state new ip saddr @blacklist log prefix "crowdsec: "
        ip saddr @blacklist drop
    }
}
"""
RULESETS = {
    **{path.stem: path.read_text(encoding="utf-8") for path in FIXTURES.glob("*.nft")},
    "a router that counts": COUNTING,
    "a hotspot": HOTSPOT,
    "bans by a set": BANS,
}
BLOCKED = {"a router that counts": {"counter"}, "a hotspot": {"limit"}, "hostile": {"counter"}}


@pytest.mark.parametrize("name", sorted(RULESETS))
def test_the_rules_of_other_programs_block_where_they_need_every_packet(lab: Lab, name: str) -> None:
    host = lab.host("firewall")
    host.nft(RULESETS[name])
    found = blockers(host.call(take_survey, SPEC), footprint(SPEC))
    assert {blocker.reason for blocker in found} == BLOCKED.get(name, set()), found
