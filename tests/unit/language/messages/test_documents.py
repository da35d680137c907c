"""What is no document of a gateway, and wrong values of uplinks and interfaces."""

from __future__ import annotations

from tests.unit.language.specs import BASE, HEAD, Reported, Rows, each, problems_in

SCHEMA = "see examples/ and `nvictl schema`"
FOREIGN = "this is not a document of nvi-operator: it has neither its apiVersion nor one of its kinds"
ELSEWHERE = "keep it in another directory; a spec begins with `apiVersion: nvi-operator/v1` and `kind: Gateway`"
AUTO = "write auto, or an address such as 192.0.2.1 or 2001:db8::1"

REFUSED: Rows = {
    "a list": ("- a\n", [("1:1", "", "expected a mapping, found a list", SCHEMA)]),
    "text": ("hello\n", [("1:1", "", "expected a mapping, found 'hello'", SCHEMA)]),
    "another version": (
        HEAD.replace("v1", "v2"),
        [("1:13", "apiVersion", "'nvi-operator/v2' is none of 'nvi-operator/v1'", "did you mean 'nvi-operator/v1'?")],
    ),
    "no head": (
        "spec: {}\n",
        [
            ("1:1", "apiVersion", "apiVersion is missing", "add `apiVersion: nvi-operator/v1` here"),
            ("1:1", "kind", "kind is missing", "add `kind: Gateway` here"),
            ("1:1", "metadata", "metadata is missing", "add `metadata: {name: ...}` here"),
        ],
    ),
    "a workflow of a CI": ("on: push\njobs: {test: {steps: []}}\n", [("1:1", "", FOREIGN, ELSEWHERE)]),
    "a manifest of Kubernetes": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n",
        [("1:1", "", FOREIGN, ELSEWHERE)],
    ),
    "another kind": (
        HEAD.replace("kind: Gateway", "kind: Gatway"),
        [("2:7", "kind", "'Gatway' is none of 'Gateway'", "did you mean 'Gateway'?")],
    ),
    "next hop": (
        BASE.replace("nextHop: auto", "nextHop: atuo"),
        [("12:16", "spec.uplinks.dsl.nextHop", "'atuo' is not an IPv4 or IPv6 address", AUTO)],
    ),
    "next hop as a mapping": (
        BASE.replace("nextHop: auto", "nextHop: {v4: 192.0.2.1}"),
        [("12:16", "spec.uplinks.dsl.nextHop", "expected an IP address as text, found a mapping", AUTO)],
    ),
    "next hops of one family": (
        BASE.replace("nextHop: auto", "nextHop: [192.0.2.1, 192.0.2.2]"),
        [("11:7", "spec.uplinks.dsl", "nextHop names two routers of one family; one each, IPv4 and IPv6", "")],
    ),
    "addresses": (
        BASE.replace("nextHop: auto", "addresses: [192.0.2.1, x]"),
        [("12:30", "spec.uplinks.dsl.addresses[1]", "'x' is not an IPv4 or IPv6 address", AUTO)],
    ),
    "a MAC address as an interface": (
        BASE.replace("lan0:", "00:11:22:33:44:55:"),
        [
            (
                "6:5",
                "spec.interfaces.00:11:22:33:44:55",
                "'00:11:22:33:44:55' is not an interface name: "
                "use 1 to 15 letters, digits, '_', '.' or '-', not starting with '-' or '.'",
                "see the names in `ip link`",
            )
        ],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported
