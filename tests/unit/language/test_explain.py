"""What one entry must be: each wrong value with its place, its path, its sentence and its hint. No jargon."""

from __future__ import annotations

import pytest

from tests.unit.language.specs import BASE, HEAD, Reported, load, problems_in

NAME = "names become nft identifiers: lower-case letters, digits and '-' only"
SCHEMA = "see examples/ and `nvictl schema`"
ADDRESS = "write an address such as 192.0.2.1 or 2001:db8::1"
FAR = "name one beyond the provider, such as a name server of another operator"
AUTO = "write auto, or an address such as 192.0.2.1 or 2001:db8::1"


def no_name(text: str) -> str:
    return f"{text!r} is not a name: use 1 to 40 of a-z, 0-9 and '-', and neither start nor end with '-'"


# name: (the text after BASE, whose first line is line 13; every problem that is told)
REFUSED: dict[str, tuple[str, list[Reported]]] = {
    # ---- fields
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
    # ---- types
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
    # ---- values that YAML 1.1 reads otherwise
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
    # ---- names
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
    # ---- addresses and ports
    "host bits": (
        "  sourceNat: [{name: a, from: [192.0.2.0/24, 192.168.1.5/24], as: isp-a}]",
        [
            (
                "13:46",
                "spec.sourceNat[0].from[1]",
                "'192.168.1.5/24' has host bits set",
                "write 192.168.1.0/24 for the whole prefix, or 192.168.1.5 for this address alone",
            )
        ],
    ),
    "protocols that nearly are": (
        "  sourceNat: [{name: a, protocol: tpc, as: isp-a}, {name: b, ports: [53/UDP, 7/xyz], as: isp-a}]",
        [
            ("13:35", "spec.sourceNat[0].protocol", "'tpc' is not a protocol known here", "did you mean 'tcp'?"),
            ("13:70", "spec.sourceNat[1].ports[0]", "'UDP' is not a protocol with ports", "did you mean 'udp'?"),
            (
                "13:78",
                "spec.sourceNat[1].ports[1]",
                "'xyz' is not a protocol with ports",
                "write one of tcp, udp, sctp, dccp, udplite",
            ),
        ],
    ),
    "several values in one text": (
        "  sourceNat: [{name: a, from: '192.0.2.0/24, 198.18.0.0/15', ports: '80/tcp,443/tcp', as: isp-a}]",
        [
            (
                "13:31",
                "spec.sourceNat[0].from",
                "'192.0.2.0/24, 198.18.0.0/15' is not a prefix such as 192.0.2.0/24 or 2001:db8::/32",
                "write several as a list: [a, b]",
            ),
            (
                "13:69",
                "spec.sourceNat[0].ports",
                "'tcp,443/tcp' is not a protocol with ports",
                "write several as a list: [a, b]",
            ),
        ],
    ),
    "ports and protocol": (
        "  sourceNat: [{name: a, ports: 53/udp, protocol: tcp, as: isp-a}]",
        [
            (
                "13:15",
                "spec.sourceNat[0]",
                "ports name their protocol already (53/udp): leave protocol out",
                "",
            )
        ],
    ),
    "true for a service": (
        "  forwards: {web: {ports: true, to: 192.168.1.80}}",
        [
            (
                "13:27",
                "spec.forwards.web.ports",
                "expected a port with its protocol, such as 443/tcp, as text, found true",
                "put it in quotes if it is text",
            )
        ],
    ),
    "weights of uplinks": (
        "  sourceNat: [{name: a, as: {uplinks: {isp-a: -1, isp-b: }}}, {name: b, as: {uplinks: [isp-a, x y, {}]}}]",
        [
            ("13:47", "spec.sourceNat[0].as.uplinks.isp-a", "-1 is too small: at least 0", "choose a larger number"),
            ("13:58", "spec.sourceNat[0].as.uplinks.isp-b", "there is no value", "write one, or leave the field out"),
            ("13:87", "spec.sourceNat[1].as.uplinks", "expected an uplink's name, found a mapping", ""),
        ],
    ),
    "probes": (
        "    a: {interface: a0, health: 192.168.1.80}\n"
        "    b: {interface: b0, health: [203.0.113.17, 192.0.2.1, 192.0.2.1]}\n"
        "    c: {interface: c0, addresses: 192.0.2.9, health: 2001:db8::1}\n",
        [
            (
                "13:32",
                "spec.uplinks.a.health",
                "ping 192.168.1.80: 192.168.1.80 is inside, behind lan0: no uplink leads there",
                FAR,
            ),
            (
                "14:32",
                "spec.uplinks.b.health",
                "ping 203.0.113.17: 203.0.113.17 is this gateway's own, of uplink 'isp-a'",
                FAR,
            ),
            (
                "14:32",
                "spec.uplinks.b.health",
                "ping 192.0.2.1 is named twice: one target that fails would count twice",
                "keep one of them",
            ),
            (
                "15:54",
                "spec.uplinks.c.health",
                "ping 2001:db8::1: the uplink has no IPv6 address",
                "name an IPv4 target",
            ),
        ],
    ),
    "values of probes": (
        "    a: {interface: a0, health: {probes: 192.0.2.1, quorum: 2}}\n"
        "    b: {interface: b0, health: {probes: [{tcp: 192.0.2.1}, {http: 'http://x.org/'}, {pong: 1}], up: 0}}\n"
        "    c: {interface: c0, health: {probes: 192.0.2.1, interval: 1s}}\n"
        "    d: {interface: d0, health: {probes: 192.0.2.1, timeout: 2}}\n"
        "    e: {interface: e0, health: }\n",
        [
            ("13:32", "spec.uplinks.a.health", "quorum 2 is more than there are probes (1)", ""),
            (
                "14:42",
                "spec.uplinks.b.health.probes[0]",
                "tcp 192.0.2.1: name one port, as in 192.0.2.80:443",
                "",
            ),
            (
                "14:67",
                "spec.uplinks.b.health.probes[1].http",
                "'http://x.org/' is not a page of a server by its address",
                "write http:// with an address, as in http://192.0.2.80/generate_204; a name goes into `host`",
            ),
            ("14:86", "spec.uplinks.b.health.probes[2].pong", "there is no field 'pong'", ""),
            ("14:101", "spec.uplinks.b.health.up", "0 is too small: at least 1", "choose a larger number"),
            (
                "15:62",
                "spec.uplinks.c.health.interval",
                "expected a number, found '1s'",
                "write a number such as 1",
            ),
            ("16:32", "spec.uplinks.d.health", "timeout 2 is longer than interval 1", ""),
            ("17:32", "spec.uplinks.e.health", "there is no value", "write one, or leave the field out"),
        ],
    ),
    "probes of servers": (
        "  forwards:\n"
        "    a: {ports: 53/udp, to: 192.168.1.80, health: tcp}\n"
        "    b: {ports: 53/udp, to: 192.168.1.81, health: pnig}\n"
        "    c: {ports: 53/udp, to: 192.168.1.82, health: {by: dns, port: 53}}\n"
        "    d: {ports: 53/udp, to: 192.168.1.83, health: {path: healthz}}\n"
        "    e: {ports: 53/udp, to: 192.168.1.84, health: }\n",
        [
            (
                "14:8",
                "spec.forwards.a",
                "health tcp: the forward names no tcp port: give the health a `port`",
                "",
            ),
            (
                "15:50",
                "spec.forwards.b.health",
                "'pnig' is none of 'ping', 'tcp', 'dns' or 'http'",
                "did you mean 'ping'?",
            ),
            ("16:50", "spec.forwards.c.health", "port goes with tcp and http, and not with dns", ""),
            ("17:50", "spec.forwards.d.health.by", "by is missing", "add `by: ...` here"),
            (
                "17:57",
                "spec.forwards.d.health.path",
                "'healthz' is not a path such as /healthz",
                "",
            ),
            ("18:50", "spec.forwards.e.health", "there is no value", "write one, or leave the field out"),
        ],
    ),
    "uplinks by preference": (
        "  sourceNat:\n    - {name: a, as: {first: [isp-a, [isp-b, isp-a]]}}\n"
        "    - {name: b, as: {first: [dsl, {}]}}\n"
        "    - {name: c, as: {first: [isp-a, 5]}}\n"
        "  routes:\n    - {name: r, to: 10.0.0.0/8, via: [isp-a, isp-b]}\n"
        "    - {name: s, to: 10.0.0.0/8, via: {first: [isp-a, [isp-b]]}}\n",
        [
            (
                "14:29",
                "spec.sourceNat[0].as.first",
                "'isp-a' is named twice: an uplink has one place in the order",
                "",
            ),
            ("15:29", "spec.sourceNat[1].as.first", "a group is empty: name an uplink", ""),
            ("16:37", "spec.sourceNat[2].as.first[1]", "expected an uplink's name, found 5", ""),
            (
                "18:38",
                "spec.routes[0].via",
                "expected an uplink's name, or {first: [...]} for several by preference",
                "",
            ),
            (
                "19:46",
                "spec.routes[1].via.first",
                "expected an uplink's name, found a list: only sourceNat has groups of uplinks",
                "",
            ),
        ],
    ),
    "uplinks by preference that are not there": (
        "  sourceNat: [{name: c, as: {first: [isp-a, isp-x]}}]\n"
        "  routes: [{name: r, to: 10.0.0.0/8, via: {first: [isp-a, isp-y]}}]\n"
        "  defaultUplink: {first: [isp-a, isp-z]}",
        [
            (
                "8:107",
                "spec.uplinks.isp-a.default",
                "defaultUplink says which uplink is the default",
                "leave it out here",
            ),
            ("13:29", "spec.sourceNat[0].as", "there is no uplink 'isp-x'", "did you mean 'isp-b'?"),
            ("14:43", "spec.routes[0].via", "there is no uplink 'isp-y'", "did you mean 'isp-b'?"),
            ("15:18", "spec.defaultUplink", "there is no uplink 'isp-z'", "did you mean 'isp-b'?"),
        ],
    ),
    "each wrong server has its place": (
        "  forwards:\n    web:\n      to: [192.168.1.80, 192.168.1.x, 'fd00:::']",
        [
            ("15:26", "spec.forwards.web.to[1]", "'192.168.1.x' is not an IPv4 or IPv6 address", ADDRESS),
            ("15:39", "spec.forwards.web.to[2]", "'fd00:::' is not an IPv4 or IPv6 address", ADDRESS),
        ],
    ),
    "each wrong weight has its place": (
        "  forwards: {web: {to: {192.168.1.80: 0, 192.168.1.81: x, web: 1}}}",
        [
            ("13:39", "spec.forwards.web.to.192.168.1.80", "0 is too small: at least 1", "choose a larger number"),
            (
                "13:56",
                "spec.forwards.web.to.192.168.1.81",
                "expected a whole number, found 'x'",
                "write a number such as 1",
            ),
            ("13:59", "spec.forwards.web.to.web", "'web' is not an IPv4 or IPv6 address", ADDRESS),
        ],
    ),
    "no server": (
        "  forwards: {web: {to: {}}}",
        [("13:24", "spec.forwards.web.to", "there is no server: name one", "")],
    ),
    "a server twice": (
        "  forwards: {web: {to: [192.168.1.80, 192.168.1.80]}}",
        [
            (
                "13:24",
                "spec.forwards.web.to",
                "a server is named twice: write a mapping of server to weight to give it more",
                "",
            )
        ],
    ),
    "unequal port ranges": (
        "  forwards: {web: {ports: 8000-8010/udp, to: 192.168.1.80:9000-9005}}",
        [
            (
                "13:19",
                "spec.forwards.web",
                "8000-8010/udp is 11 ports and 192.168.1.80:9000-9005 is 6: ranges must be of equal size",
                "make both ranges cover as many ports",
            )
        ],
    ),
    "unequal prefixes": (
        "  static: {a: {address: 192.168.1.0/24, as: 203.0.113.16/28}}",
        [
            (
                "13:15",
                "spec.static.a",
                "address 192.168.1.0/24 and as 203.0.113.16/28 are not of the same size",
                "give both the same prefix length",
            )
        ],
    ),
    "1:1 with two prefixes of one family": (
        "  static: {a: {address: [192.168.1.1, 192.168.1.2], as: 203.0.113.17}}",
        [
            (
                "13:25",
                "spec.static.a.address",
                "192.168.1.1/32 and 192.168.1.2/32 are of one family: one each, IPv4 and IPv6",
                "",
            )
        ],
    ),
    "source ports that are none": (
        "  sourceNat: [{name: a, as: {uplinks: isp-a, ports: rnd}}]",
        [
            (
                "13:53",
                "spec.sourceNat[0].as.ports",
                "'rnd' is neither random nor a port range",
                "write random, or as in 20000-20999",
            )
        ],
    ),
    "source ports of another protocol": (
        "  sourceNat: [{name: a, ports: 1/tcp, fromPorts: 2/udp, as: isp-a}]",
        [
            (
                "13:15",
                "spec.sourceNat[0]",
                "ports and fromPorts must be of the same protocols: only one names tcp",
                "",
            )
        ],
    ),
    "prefix NAT of IPv4": (
        "  prefixNat: {a: {address: 192.168.1.0/24, as: 203.0.113.0/24}}",
        [
            (
                "13:18",
                "spec.prefixNat.a",
                "192.168.1.0/24 is IPv4",
                "prefixNat is of IPv6 prefixes; sourceNat translates IPv4",
            )
        ],
    ),
    "prefix NAT to another size": (
        "  prefixNat: {a: {address: 'fd00:1::/64', as: [{from: isp-a, length: 60}]}}",
        [
            (
                "13:18",
                "spec.prefixNat.a",
                "subnet 0 of isp-a is a /60, and fd00:1::/64 is none: they are of one length",
                "",
            )
        ],
    ),
    "a part of a delegated prefix with an unknown field": (
        "  prefixNat: {a: {address: 'fd00:1::/64', as: [{from: isp-a, nett: 60}]}}",
        [("13:47", "spec.prefixNat.a.as", "there is no field 'nett'", "there are: from, length, subnet")],
    ),
    "a part of a delegated prefix that is no number": (
        "  prefixNat: {a: {address: 'fd00:1::/64', as: [{from: isp-a, subnet: -1}]}}",
        [("13:47", "spec.prefixNat.a.as", "subnet: Input should be greater than or equal to 0", "")],
    ),
    "a redirect to a range of ports": (
        "  redirects: {a: {ports: 53/udp, to: '192.168.1.53:53-54'}}",
        [
            (
                "13:38",
                "spec.redirects.a.to",
                "'192.168.1.53:53-54': a service has one port",
                "write a redirect for each port",
            )
        ],
    ),
    "a redirect to two servers of one family": (
        "  redirects: {a: {ports: 53/udp, to: [192.168.1.53, 192.168.1.54]}}",
        [
            (
                "13:38",
                "spec.redirects.a.to",
                "192.168.1.53 and 192.168.1.54 are of one family: one each, IPv4 and IPv6",
                "",
            )
        ],
    ),
    "a redirect without a server of its clients' family": (
        "  redirects: {a: {ports: 53/udp, from: 'fd00:1::/64', to: 192.168.1.53}}",
        [
            (
                "13:18",
                "spec.redirects.a",
                "from fd00:1::/64 and to 192.168.1.53 mix IPv4 and IPv6",
                "write one entry for each",
            )
        ],
    ),
    "a protocol with ports as one without": (
        "  forwards: {a: {protocol: tcp, to: 192.168.1.80}}",
        [("13:17", "spec.forwards.a", "protocol tcp has ports", "write `ports: 1-65535/tcp` for all of them")],
    ),
    "a protocol that no server has": (
        "  forwards: {a: {protocol: icmpv6, to: 192.168.1.80}}",
        [("13:17", "spec.forwards.a", "protocol icmpv6 is IPv6, and no server is", "")],
    ),
    "a protocol that no NAT lets through": (
        "  forwards: {a: {protocol: 51, to: 192.168.1.80}}",
        [
            (
                "13:17",
                "spec.forwards.a",
                "ah fails behind a forward: it signs the addresses",
                "let the tunnel use ESP",
            )
        ],
    ),
    "source ports of a protocol without": (
        "  forwards: {a: {protocol: gre, fromPorts: 5/udp, to: 192.168.1.80}}",
        [("13:17", "spec.forwards.a", "fromPorts: gre has no ports", "write a second forward for it")],
    ),
    "a protocol that is none": (
        "  forwards: {a: {protocol: [gre, 300], to: 192.168.1.80}}",
        [("13:34", "spec.forwards.a.protocol[1]", "300 is no protocol: numbers are 1 to 255", "")],
    ),
    "a server's load": (
        "  forwards: {a: {ports: 80/tcp, to: 192.168.1.80, pick: least-connections}}",
        [
            (
                "13:57",
                "spec.forwards.a.pick",
                "'least-connections': netfilter does not know how busy a server is",
                "give each server a weight, or put a proxy that knows (IPVS, HAProxy) behind it",
            )
        ],
    ),
    "1:1 of two families": (
        "  static: {a: {address: 'fd00::1', as: 203.0.113.17}}",
        [
            (
                "13:15",
                "spec.static.a",
                "address fd00::1/128 and as 203.0.113.17/32 mix IPv4 and IPv6",
                "write one entry for each",
            )
        ],
    ),
    "names among addresses": (
        "  sourceNat: [{name: a, as: [isp-a, 203.0.113.17]}]",
        [
            (
                "13:29",
                "spec.sourceNat[0].as",
                "'isp-a' is an uplink's name among addresses: name uplinks or addresses, not both",
                "",
            )
        ],
    ),
}


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


@pytest.mark.parametrize(("text", "reported"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, reported: list[Reported]) -> None:
    assert problems_in(BASE + text + "\n") == reported


WHOLE: dict[str, tuple[str, list[Reported]]] = {
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


@pytest.mark.parametrize(("text", "reported"), WHOLE.values(), ids=WHOLE)
def test_documents(text: str, reported: list[Reported]) -> None:
    assert problems_in(text) == reported


# --------------------------------------------------------------------------- protocols and weights


@pytest.mark.parametrize("protocol", ["gre", "esp", "sctp", "udplite", "ah", "icmp", "icmpv6"])
def test_protocols_by_name_are_taken_by_source_nat(protocol: str) -> None:
    assert load(BASE + f"  sourceNat: [{{name: a, protocol: {protocol}, as: isp-a}}]\n")


@pytest.mark.parametrize("ports", ["gre", "[1723/tcp, gre]", "47/gre"])
def test_a_protocol_without_ports_among_ports_is_told_where_it_belongs(ports: str) -> None:
    for lines in (
        f"forwards: {{v: {{ports: {ports}, to: 192.168.1.9}}}}",
        f"sourceNat: [{{name: a, ports: {ports}, as: isp-a}}]",
    ):
        ((_, _, message, hint),) = problems_in(BASE + f"  {lines}\n")
        assert message == "gre has no ports"
        assert hint.startswith("write `protocol: gre`; a forward without ports and protocol takes everything")


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("as: {pool: [203.0.113.17: 3, 203.0.113.18: 1]}", "pool: {203.0.113.17: 3, 203.0.113.18: 1}"),
        ("as: {203.0.113.17: 3, 203.0.113.18: 1}", "pool: {203.0.113.17: 3, 203.0.113.18: 1}"),
        ("as: [203.0.113.17: 3]", "pool: {203.0.113.17: 3}"),
        ('as: {"2001:db8::1": 3}', 'pool: {"2001:db8::1": 3}'),
        ("as: {uplinks: [isp-a: 3, isp-b: 1]}", "uplinks: {isp-a: 3, isp-b: 1}"),
        ("as: {isp-a: 3, isp-b: 1}", "uplinks: {isp-a: 3, isp-b: 1}"),
    ],
)
def test_weights_in_another_form_are_told_as_the_mapping_that_is_taken(written: str, hint: str) -> None:
    ((_, _, _, reported),) = problems_in(BASE + f"  sourceNat: [{{name: a, {written}}}]\n")
    assert reported == f"write values and weights as one mapping: `{hint}`"


def test_where_no_weights_are_taken_nothing_is_to_be_quoted() -> None:
    ((_, _, _, reported),) = problems_in(BASE + "  forwards: {v: {at: {isp-a: 3}, to: 192.168.1.9}}\n")
    assert reported == "at takes no weights: write [isp-a]"
