"""What the walker does not model, by name, and what it takes to be so: docs/reference/explain-limits.md."""

from __future__ import annotations

from enum import Enum


class Limit(Enum):
    """A walk that meets it ends there, and says so. The value is what is not known, as a user reads it."""

    FOREIGN_STATEMENT = "a rule of the table has a statement that the ruleset never writes"
    FOREIGN_FIB_RULE = "a FIB rule of another tool matches, and what it leads to is not known"
    FOREIGN_PROGRAM = "the program that guards an interface is of another version"
    LINK_DOWN = "the interface is not there or down: nothing comes in by it"
    PORT = "the interface is a port of a bridge, bond, team or VRF: packets come in by that"
    FORWARDING = "the gateway has nothing of that family, and so leaves it to the host whether it is forwarded"
    MULTICAST = "multicast, and what the gateway itself sends to a broadcast address"
    LINK_LOCAL = "a link-local address of IPv6 as the destination, but for what the gateway gets by its own"


class Assumption(Enum):
    """What no walk looks at. The value is what is taken to be so."""

    NEIGHBOUR = "the next hop, or the host on the wire, answers ARP or neighbour discovery"
    INSIDE_ROUTER = "without `--live`, an inside network is on the wire of its interface, behind no router"
    FOREIGN_CHAIN = (
        "no chain of another nft table changes or drops the packet; `--live` walks those that drop, names others"
    )
    TRAFFIC_CONTROL = "no tc filter, XDP program or queue of another tool drops it"
    IPSEC = "no IPsec policy takes the packet, and none decrypted it"
    HELPER = "no conntrack helper (FTP, SIP, ...) expects further flows"
    FRAGMENT = "the packet is whole: conntrack puts fragments together before any rule"
    LEASE = "without the host, an uplink's lease gives addresses of 198.18.0.0/15 and 2001:2::/48"
