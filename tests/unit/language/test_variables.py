"""One spec for many hosts: a variable is a value where it is used."""

from __future__ import annotations

import pytest

from nvi_operator.language.load.loader import load_texts
from tests.unit.language.sites import EDGE_1, SITE, load, meaning, refused


def test_a_variable_means_what_its_value_would_where_it_stands() -> None:
    written = (
        SITE.replace("${lan}", "lan0")
        .replace("${net}", "10.1")
        .replace('"${clients}"', "[10.1.2.0/24, 10.1.3.0/24]")
        .replace('"${share}"', "3")
        .replace("${wan}", "203.0.113.2")
    )
    assert meaning(load(EDGE_1)) == meaning(load_texts({"site.yaml": written}))


def test_the_name_of_the_host_is_a_variable_of_every_spec() -> None:
    text = SITE.replace("${wan}", "203.0.113.2").replace(
        "  forwards:\n", "  forwardsFrom: ${hostname}.csv\n  forwards:\n"
    )
    rows = "name,at,ports,to\nmail,isp-a,25/tcp,10.1.0.25\n"
    loaded = load_texts({"site.yaml": text, "edge-1.csv": rows}, hostname="edge-1")
    assert list(loaded.spec.forwards) == ["web", "mail"]


def test_a_spec_that_needs_the_name_of_a_host_says_how_to_choose_one() -> None:
    site = SITE.replace("${wan}", "203.0.113.2").replace("web:", "${hostname}:")
    (problem,) = refused({"site.yaml": site}, on=None)
    assert problem.endswith("hint: it is the name of the host, and no host is chosen: choose one with --host")


def test_two_dollars_are_one_and_no_variable() -> None:
    text = SITE.replace("${wan}", "203.0.113.2") + "  checks: {door: {command: [door, '$${wan}', '$5']}}\n"
    assert load_texts({"site.yaml": text}).spec.checks["door"].command == ("door", "${wan}", "$5")


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "${clients}",
            "${clinets}",
            "site.yaml:16:29: spec.sourceNat[0].from: there is no variable 'clinets' here\n  hint: did you mean "
            "'clients'?",
        ),
        (
            '"${net}.0.80:8443"',
            '"${net}"',
            "site.yaml:19:42: spec.forwards.web.to: '10.1' is not an IPv4 or IPv6 address (${net} is set at "
            "site.yaml:7:10)\n  hint: write an address such as 192.0.2.1 or 2001:db8::1",
        ),
        (
            '"10.1"',
            "10.10",
            "site.yaml:11:25: spec.interfaces.lan0.networks[0]: ${net} is 10.1, and cannot be a part of a text "
            "(${net} is set at site.yaml:7:10)\n  hint: put the variable's value in quotes",
        ),
        (
            '"${net}.0.80:8443"',
            '"${net.0.80:8443"',
            "site.yaml:19:42: spec.forwards.web.to: '${net.0.80:8443': a variable that is not closed\n"
            "  hint: write ${name}, or $${ for the characters themselves",
        ),
        (
            "share: 3",
            "share: many",
            "site.yaml:13:59: spec.uplinks.isp-a.weight: expected a whole number, found 'many' (${share} is set at "
            "site.yaml:9:12)\n  hint: write a number such as 1",
        ),
        (
            "share: 3",
            'share: "${net}"',
            "site.yaml:9:12: spec.vars.share: a variable cannot refer to another one: write the value\n  hint: ",
        ),
        (
            "lan: lan0",
            "lan: lan0\n    hostname: x",
            "site.yaml:7:5: spec.vars.hostname: 'hostname' is the name of the host, in every spec\n"
            "  hint: give yours another name",
        ),
    ],
)
def test_a_wrong_variable_is_told_where_it_is_used_and_where_it_is_set(before: str, after: str, problem: str) -> None:
    found = refused({"site.yaml": SITE.replace(before, after), "hosts/edge-1.yaml": EDGE_1})
    assert any(problem.removesuffix("\n  hint: ") in text for text in found), found
    assert len(found) <= 2


def test_a_variable_within_brackets_needs_quotes() -> None:
    assert refused({"site.yaml": SITE.replace('"${wan}"', "${wan}")}) == [
        'site.yaml:13:41: not YAML: a variable within [ ] or { } needs quotes\n  hint: write "${wan}"'
    ]


def test_a_variable_that_other_hosts_have_is_told_with_their_names() -> None:
    assert refused({"site.yaml": SITE, "hosts/edge-1.yaml": EDGE_1}, on="laptop") == [
        "site.yaml:13:41: spec.uplinks.isp-a.addresses: there is no variable 'wan' here\n"
        "  hint: it is set for edge-1, and this is laptop: set it in `vars`, or choose another with --host"
    ]


def test_another_gateway_in_the_directory_may_need_variables_that_this_host_does_not_have() -> None:
    other = SITE.replace("name: gw", "name: other").replace("spec:", "spec:\n  host: elsewhere", 1)
    site = SITE.replace("spec:", "spec:\n  host: edge-1", 1)
    assert load_texts({"a.yaml": site, "b.yaml": other, "e.yaml": EDGE_1}, hostname="edge-1").name == "gw"
