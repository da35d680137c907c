"""Names, and words that YAML 1.1 reads otherwise. Nothing of any length is echoed."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import ADDRESS, BASE, Reported, Rows, each, problems_in

NAME = "names become nft identifiers: lower-case letters, digits and '-' only"


def no_name(text: str) -> str:
    return f"{text!r} is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"


REFUSED: Rows = {
    "no": (
        "  dataplane: {hideHop: no}",
        [
            (
                "13:24",
                "spec.dataplane.hideHop",
                "expected true or false, found 'no'",
                "YAML 1.2: write true or false; no is text",
            )
        ],
    ),
    "On": (
        "  forwards: {web: {to: 192.168.1.80, hairpin: On}}",
        [
            (
                "13:47",
                "spec.forwards.web.hairpin",
                "expected true or false, found 'On'",
                "YAML 1.2: write true or false; On is text",
            )
        ],
    ),
    "quoted boolean": (
        "  dataplane: {hideHop: 'true'}",
        [("13:24", "spec.dataplane.hideHop", "expected true or false, found 'true'", "write true or false")],
    ),
    "010": (
        "  numbers: {table: 010}",
        [
            (
                "13:20",
                "",
                "010 is ambiguous: an octal number to YAML 1.1, 10 to YAML 1.2",
                "write 10, or 0o10 for octal, or quote it if it is text",
            )
        ],
    ),
    "22:22": (
        "  forwards: {ssh: {ports: 22:22, to: 192.168.1.80}}",
        [
            (
                "13:27",
                "spec.forwards.ssh.ports",
                "'22:22' names no protocol: write it as 443/tcp or 8000-8010/udp",
                "",
            )
        ],
    ),
    "a MAC address": (
        "  interfaces: {00:11:22:33:44:55: {networks: 192.0.2.0/24}}",
        [
            (
                "13:3",
                "",
                "'interfaces' is already defined at gw.yaml:5:3",
                "keep one of them, or rename one",
            ),
        ],
    ),
    "a MAC address for an address": (
        "  forwards: {web: {to: 00:11:22:33:44:55}}",
        [
            (
                "13:24",
                "spec.forwards.web.to",
                "'00:11:22:33:44:55' is not an IPv4 or IPv6 address",
                ADDRESS,
            )
        ],
    ),
    "name for a shell": (
        "  static: {'a;reboot': {address: 192.168.1.80, as: 203.0.113.17}}",
        [("13:12", "spec.static.a;reboot", no_name("a;reboot"), NAME)],
    ),
    "name for nft": (
        "  sourceNat: [{name: 'x } drop', as: isp-a}]",
        [("13:22", "spec.sourceNat[0].name", no_name("x } drop"), NAME)],
    ),
    "capital letters": (
        "  forwards: {Web: {to: 192.168.1.80}}",
        [("13:14", "spec.forwards.Web", no_name("Web"), NAME)],
    ),
    "uplink for a shell": (
        "  forwards: {web: {at: $(id), to: 192.168.1.80}}",
        [("13:24", "spec.forwards.web.at", no_name("$(id)"), NAME)],
    ),
    "uplink for nft, in short": (
        "  sourceNat: [{name: a, as: 'isp-a; flush ruleset'}]",
        [("13:29", "spec.sourceNat[0].as", no_name("isp-a; flush ruleset"), NAME)],
    ),
    "interface that is all of them": (
        "  sourceNat: [{name: a, in: all, as: isp-a}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].in",
                "'all' is what the kernel calls the settings of all interfaces: it takes part in no NAT",
                "name an interface; see `ip link`",
            )
        ],
    ),
    "interface named as a number": (
        "  sourceNat: [{name: a, in: 42, as: isp-a}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].in",
                "expected an interface name as text, found 42",
                "put it in quotes if it is text",
            )
        ],
    ),
    "interface name with a slash": (
        "  sourceNat: [{name: a, in: ../etc, as: isp-a}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].in",
                "'../etc' is not an interface name: use 1 to 15 letters, digits, '_', '.' or '-', "
                "not starting with '-' or '.'",
                "see the names in `ip link`",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


@pytest.mark.parametrize(
    "value",
    [
        "from: {}, as: isp-a",
        "to: {}, as: isp-a",
        "in: {}, as: isp-a",
        "tenant: {}, as: isp-a",
        "protocol: {}, as: isp-a",
        "ports: {}, as: isp-a",
        "ports: 1/{}, as: isp-a",
        "as: {}",
        "as: 192.0.2.1-{}",
        "as: {{pool: {}}}",
        "as: {{pool: 192.0.2.1, ports: {}}}",
        "as: {{uplinks: {}}}",
        "as: {{uplinks: {{? {} : 1}}}}",
        "as: {{pick: {}}}",
        "{}: 1, as: isp-a",
    ],
)
@pytest.mark.parametrize("text", ["x" * 300_000, "1/" * 150_000, "1-" * 150_000], ids=["word", "prefix", "range"])
def test_nothing_is_echoed_at_any_length(value: str, text: str) -> None:
    value = value.replace("{}: 1", "? {} : 1")
    for _, path, message, hint in problems_in(BASE + f"  sourceNat: [{{name: a, {value.format(text)}}}]\n"):
        assert max(map(len, (path, message, hint))) < 200
