"""Fields that are missing or unknown, and values of another type."""

from __future__ import annotations

from tests.unit.language.specs import BASE, HEAD, Reported, Rows, each, problems_in

REFUSED: Rows = {
    "unknown section": (
        "  forward: {}",
        [("13:3", "spec.forward", "there is no field 'forward'", "did you mean 'forwards'?")],
    ),
    "snake case": (
        "  source_nat: []",
        [("13:3", "spec.source_nat", "there is no field 'source_nat'", "did you mean 'sourceNat'?")],
    ),
    "Python's name for a field": (
        "  sourceNat: [{name: a, as_: isp-a}]",
        [("13:25", "spec.sourceNat[0].as_", "there is no field 'as_'", "did you mean 'as'?")],
    ),
    "a needed field under another name": (
        "---\n" + HEAD + "spec: {interfaces: {lan1: {network: 192.0.2.0/24}}}",
        [("17:28", "spec.interfaces.lan1.network", "there is no field 'network'", "did you mean 'networks'?")],
    ),
    "a needed field, and another under another name": (
        "  forwards: {web: {prots: 443/tcp}}",
        [
            ("13:19", "spec.forwards.web.to", "to is missing", "add `to: ...` here"),
            ("13:20", "spec.forwards.web.prots", "there is no field 'prots'", "did you mean 'ports'?"),
        ],
    ),
    "no space after the colons of a mapping": (
        "  forwards: {web: {ports:443/tcp, to:192.168.1.80}}",
        [
            (
                "13:20",
                "spec.forwards.web.ports:443/tcp",
                "there is no field 'ports:443/tcp'",
                "write `ports: 443/tcp`, with a space after the colon",
            ),
            (
                "13:35",
                "spec.forwards.web.to:192.168.1.80",
                "there is no field 'to:192.168.1.80'",
                "write `to: 192.168.1.80`, with a space after the colon",
            ),
        ],
    ),
    "no space after the only colon": (
        "  forwards:\n    web:\n      to:192.168.1.80",
        [
            (
                "15:7",
                "spec.forwards.web",
                "expected a mapping, found 'to:192.168.1.80'",
                "write `to: 192.168.1.80`, with a space after the colon",
            )
        ],
    ),
    "a field longer than a line": (
        f"  guards: {{? {'z' * 300_000} : 1}}",
        [
            (
                "13:14",
                f"spec.guards.{'z' * 57}...",
                f"there is no field '{'z' * 55}...'",
                "there are: antiSpoof",
            )
        ],
    ),
    "unknown field of an entry": (
        "  forwards:\n    web: {prots: 443/tcp, to: 192.168.1.80}",
        [("14:11", "spec.forwards.web.prots", "there is no field 'prots'", "did you mean 'ports'?")],
    ),
    "unknown field of a translation": (
        "  sourceNat: [{name: a, as: {pol: 203.0.113.17}}]",
        [("13:30", "spec.sourceNat[0].as.pol", "there is no field 'pol'", "did you mean 'pool'?")],
    ),
    "unknown field like no other": (
        "  guards: {zzz: 1}",
        [("13:12", "spec.guards.zzz", "there is no field 'zzz'", "there are: antiSpoof")],
    ),
    "missing field": (
        "  forwards: {web: {ports: 443/tcp}}",
        [("13:19", "spec.forwards.web.to", "to is missing", "add `to: ...` here")],
    ),
    "number for a mapping": (
        "  forwards: {web: 5}",
        [("13:19", "spec.forwards.web", "expected a mapping, found 5", "write `web: {to: ...}`")],
    ),
    "list for a mapping": (
        "  forwards: [{name: web, to: 192.168.1.80}]\n  guards: [local]",
        [
            ("13:13", "spec.forwards", "expected a mapping, found a list", "write `forwards: {NAME: {to: ...}}`"),
            ("14:11", "spec.guards", "expected a mapping, found a list", "write `guards: {antiSpoof: ...}`"),
        ],
    ),
    "text for a line": (
        "  routes: [isp-a]",
        [("13:12", "spec.routes[0]", "expected a mapping, found 'isp-a'", "write `{name: ..., via: ...}`")],
    ),
    "mapping for a list": (
        "  sourceNat: {a: 1}",
        [
            (
                "13:14",
                "spec.sourceNat",
                "expected a list, found a mapping",
                "write `sourceNat: [{name: ..., as: ...}]`",
            )
        ],
    ),
    "nothing": (
        "  forwards:",
        [("13:12", "spec.forwards", "expected a mapping, found nothing", "write a value, or leave the field out")],
    ),
    "nothing where it could be left out": (
        "  forwards: {ssh: {ports: 22/tcp, to: 192.168.1.22, from: , at: null}}",
        [
            ("13:59", "spec.forwards.ssh.from", "there is no value", "write one, or leave the field out"),
            ("13:65", "spec.forwards.ssh.at", "there is no value", "write one, or leave the field out"),
        ],
    ),
    "something twice": (
        "  sourceNat: [{name: a, in: [lan0, lan0], protocol: [tcp, tcp], as: isp-a}]",
        [
            ("13:29", "spec.sourceNat[0].in", "'lan0' is named twice: once is enough", ""),
            ("13:53", "spec.sourceNat[0].protocol", "'tcp' is named twice: once is enough", ""),
        ],
    ),
    "zone index": (
        "  forwards: {ssh: {ports: 22/tcp, to: 192.168.1.22, from: 'fe80::1%wan0'}}",
        [("13:59", "spec.forwards.ssh.from", "'fe80::1%wan0': a zone index is not allowed here", "")],
    ),
    "text for a number": (
        "  numbers: {table: '7800'}",
        [("13:20", "spec.numbers.table", "expected a whole number, found '7800'", "write the number without quotes")],
    ),
    "fraction for a number": (
        "  numbers: {table: 1.5}",
        [("13:20", "spec.numbers.table", "expected a whole number, found 1.5", "write a number such as 1")],
    ),
    "number out of range": (
        "  dataplane: {stageBit: 32, localBit: 3}",
        [
            ("13:25", "spec.dataplane.stageBit", "32 is too large: at most 31", "choose a smaller number"),
            ("13:39", "spec.dataplane.localBit", "3 is too small: at least 16", "choose a larger number"),
        ],
    ),
    "number for an address": (
        "  forwards: {web: {to: 5}}",
        [
            (
                "13:24",
                "spec.forwards.web.to",
                "expected an address with or without a port, found 5",
                "",
            )
        ],
    ),
    "number for a hostname": (
        "  host: 22",
        [("13:9", "spec.host", "expected a hostname as text, found 22", "put it in quotes if it is text")],
    ),
    "no such word": (
        "  guards: {antiSpoof: locl}",
        [
            (
                "13:23",
                "spec.guards.antiSpoof",
                "'locl' is none of 'local', 'strict' or 'off'",
                "did you mean 'local'?",
            )
        ],
    ),
    "a word like no other": (
        "  guards: {antiSpoof: ~}",
        [
            (
                "13:23",
                "spec.guards.antiSpoof",
                "nothing is none of 'local', 'strict' or 'off'",
                "write one of local, strict, off",
            )
        ],
    ),
    "empty list": (
        "  forwards: {web: {at: [], to: 192.168.1.80}}",
        [("13:24", "spec.forwards.web.at", "the list is empty: leave the field out or name something", "")],
    ),
}


@each(REFUSED)
def test_a_mistake_is_told_with_its_place_and_what_to_do(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported
