"""What other tools call a thing, and how it is written here. For hints alone: nothing of it is accepted. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from types import MappingProxyType

_CLIENTS = ("source", "src", "sourceaddress", "sourceip", "srcip", "allow", "allowfrom", "remote", "remoteip")
_SERVER_PORTS = ("toport", "toports", "targetport", "internalport", "localport", "destinationport", "destport")
_REFLECTION = ("reflection", "natreflection", "loopback", "natloopback")
_OUT = ("out", "oif", "oifname", "outinterface", "snat", "translation", "masquerade")
_PREFERENCE = ("metric", "priority", "distance", "prio")

# By name in small letters: the field, and what to write where that is not the field's name alone.
_FIELDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("gateway", "router", "gw", "via"), ("nextHop", "")),
        **dict.fromkeys(("mss", "mssclamp", "mssfix", "clampmsstopmtu", "tcpmss"), ("clampMss", "`clampMss: true`")),
        **dict.fromkeys(_PREFERENCE, ("nextHop", "the order where it counts: `as: {first: [...]}`")),
        **dict.fromkeys(("address", "ipaddr", "ip"), ("addresses", "")),
        **dict.fromkeys(_CLIENTS, ("from", "")),
        **dict.fromkeys(_SERVER_PORTS, ("hairpin", "it with the server: `to: 192.168.1.80:8443`")),
        **dict.fromkeys(("target", "destination", "dest", "dst", "server", "toaddress", "internalip"), ("to", "")),
        **dict.fromkeys(_REFLECTION, ("hairpin", "")),
        **dict.fromkeys(("publicip", "publicaddress", "externalip", "external", "wan"), ("at", "")),
        **dict.fromkeys(("dport", "dports", "publicport", "externalport", "service"), ("ports", "")),
        **dict.fromkeys(("sport", "sports", "sourceport", "sourceports"), ("fromPorts", "")),
        **dict.fromkeys(_OUT, ("as", "")),
        **dict.fromkeys(("iif", "iifname", "ininterface"), ("in", "")),
    }
)
# Of values.
UNTRANSLATED = frozenset({"none", "no-nat", "nonat", "no", "off", "exempt", "bypass", "accept", "return", "exclude"})
ANY = frozenset({"any", "all", "everything", "everyone", "internet"})
BOTH = frozenset({"both", "all", "any", "tcpudp", "tcp+udp", "tcp,udp", "tcp-udp", "tcp_udp", "tcp/udp", "tcp udp"})


def field_instead(name: str, fields: Container[str]) -> str:
    """How a model with these fields says what another tool calls `name`; nothing where that is not known."""
    field, words = _FIELDS.get(name.replace("_", "").replace("-", "").lower(), ("", ""))
    if field not in fields:
        return ""
    return f"write {words or f'`{field}`'}"
