"""An ISP that drops and counts what must never reach it, and says what that was."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.host import Host

# Inside networks of the topologies: a packet to them from the gateway is one that was not translated back.
# 172.31.0.0/16, fd00:f1:: and fd00:f2:: are the laboratory's own links between ISPs and far.
INSIDE = "10.0.0.0/14, 10.255.0.0/16, 192.168.0.0/16"
TRANSIT6 = "fd00:f1::/64, fd00:f2::/64"
# No ISP carries these: a packet to them answers one with a false source.
BOGONS = "10.0.0.0/8, 100.64.0.0/10, 172.16.0.0-172.30.255.255"


class Leaks(int):
    """A number of packets that shows, where an assertion fails, which they were."""

    details: tuple[str, ...]

    def __new__(cls, number: int, details: tuple[str, ...] = ()) -> Leaks:
        made = super().__new__(cls, number)
        made.details = details
        return made

    def __repr__(self) -> str:
        return f"Leaks({int(self)}: {'; '.join(self.details)})" if self.details else int.__repr__(self)

    __str__ = int.__repr__


@dataclass
class Isp:
    """An ISP drops and counts what does not come from its own prefixes, and counts what does."""

    host: Host
    prefixes: tuple[str, ...]
    prefixes6: tuple[str, ...]

    def arm(self) -> None:
        # A full set stops the rule that adds to it: count before, drop after, each in a rule of its own. Sets of
        # prefixes are empty for some microseconds after their table is there: what hosts send while they are made
        # (neighbour discovery, MLD) is let through by plain comparisons.
        self.host.libnftables(
            f"""
            table inet isp {{
                counter foreign {{ }}
                counter bogons {{ }}
                counter sent {{ }}
                counter received {{ }}
                set leaks4 {{ typeof ip saddr . ip daddr . meta l4proto; flags dynamic; counter; size 4096; }}
                set leaks6 {{ typeof ip6 saddr . ip6 daddr . meta l4proto; flags dynamic; counter; size 4096; }}
                chain leak {{
                    counter name foreign
                    add @leaks4 {{ ip saddr . ip daddr . meta l4proto }}
                    add @leaks6 {{ ip6 saddr . ip6 daddr . meta l4proto }}
                    drop
                }}
                chain check {{
                    type filter hook prerouting priority -400; policy accept;
                    iifname != "gwa" return
                    ip6 saddr fe80::/10 return
                    ip6 saddr :: return
                    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} return
                    ip saddr != {{ {", ".join(self.prefixes)} }} jump leak
                    ip6 saddr != {{ {", ".join(self.prefixes6)} }} jump leak
                    ip daddr {{ {INSIDE} }} jump leak
                    ip6 daddr fc00::/7 ip6 daddr != {{ {TRANSIT6} }} jump leak
                    ip daddr {{ {BOGONS} }} counter name bogons drop
                    counter name sent
                }}
                chain back {{
                    type filter hook postrouting priority 0; policy accept;
                    oifname "gwa" meta l4proto != ipv6-icmp counter name received
                    icmpv6 type != {{ echo-request, echo-reply, packet-too-big, time-exceeded }} return
                    oifname "gwa" counter name received
                }}
            }}
            """
        )

    def cut(self) -> None:
        """The line behind the ISP's router; the router itself stays."""
        self.host.nft(
            "table inet cut { chain c { type filter hook forward priority 0; policy drop; icmpv6 type != 1 drop; }; }"
        )

    def mend(self) -> None:
        """After `cut`."""
        self.host.nft("delete table inet cut")

    @property
    def foreign(self) -> int:
        return self.host.counter("isp", "foreign")

    @property
    def bogons(self) -> int:
        """Packets from a right source to a private IPv4 address that no host has."""
        return self.host.counter("isp", "bogons")

    def used(self) -> tuple[int, int]:
        """Packets that came from the gateway, and that went to it."""
        counters = self.host.counters("isp")
        return counters["sent"], counters["received"]

    def leaks(self) -> Leaks:
        """Packets from the gateway that this ISP must never see: how many, and which."""
        number = self.foreign
        return Leaks(number, tuple(self._details()) if number else ())

    def _details(self) -> list[str]:
        found = []
        for name in ("leaks4", "leaks6"):
            (body,) = (entry["set"] for entry in self.host.libnftables(f"list set inet isp {name}") if "set" in entry)
            for each in (entry["elem"] for entry in body.get("elem", [])):
                source, destination, protocol = each["val"]["concat"]
                packets = each["counter"]["packets"]
                found.append(f"{self.host.name}: {source} > {destination} {protocol}, {packets} packets")
        return found
