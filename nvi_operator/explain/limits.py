"""What the walker does not model, by name. docs/reference/explain-limits.md has one entry for each."""

from __future__ import annotations

from enum import Enum


class Limit(Enum):
    """The value is a sentence: what is not known, as a user reads it."""

    NOT_BUILT = "this part of the way is not modelled yet"
    FOREIGN_STATEMENT = "a rule of the table has a statement that the ruleset never writes"
    FOREIGN_CHAIN = "a chain of another table may change or drop the packet"
    FOREIGN_FIB_RULE = "a FIB rule of another tool matches, and its table is not known"
    FOREIGN_PROGRAM = "an eBPF program that is not the gateway's own is at the interface"
    FRAGMENT = "a fragment: conntrack puts it together first, and the whole packet is what is walked"
    HELPER = "a conntrack helper (FTP, SIP, ...) may expect a further flow"
    IPSEC = "an IPsec policy may take the packet"
    MULTICAST = "multicast and broadcast are not forwarded by routes of a table"
    INVALID = "a packet that belongs to no flow and opens none: conntrack calls it invalid"
    LINK_DOWN = "the interface is not there or down: nothing comes in by it"
    VRF = "an interface in a VRF is looked up in its own table"
    BRIDGE = "a bridge may hand the packet to another of its ports"
    ROUTE_TYPE = "a route has a type or several next hops that are not modelled"
    NEIGHBOUR = "whether the next hop answers ARP or neighbour discovery is not known"
    OFFLINE_ADDRESS = "the address of the interface is not known offline"
