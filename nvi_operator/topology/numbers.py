"""Every number that a gateway takes on its host, and every limit that follows from one.

The spec's `numbers` and `dataplane` say where the blocks begin (rulePriority, table, linkGroup, stageBit, localBit);
this file says what lies where in them. tests/unit/topology/test_numbers.py compares it with docs/architecture.md. It
imports nothing of the project, so that the checks of a spec can read the limits here as well.
"""

from __future__ import annotations

from nvi_operator.dataclass import dataclass

# --------------------------------------------------------------------------- routing tables

DEFAULT, MAIN, LOCAL = 253, 254, 255  # RT_TABLE_*, include/uapi/linux/rtnetlink.h
KERNEL_TABLES = (0, DEFAULT, MAIN, LOCAL)  # 0: unspecified
TABLE_NAMES = {DEFAULT: "default", MAIN: "main", LOCAL: "local"}  # as ip(8) prints them on every system

# The block: the device's, the uplinks', that of routed addresses; from a quarter on those of own packets, in the
# second half tenants'.
TABLES = 2000
UNREACHABLE_METRIC = 0xFFFFFFFF  # of the route that ends each table: behind every other route


def table_name(table: int) -> str:
    """The name of a table as ip(8) prints and takes it."""
    return TABLE_NAMES.get(table, str(table))


def uplink_table(first: int, slot: int) -> int:
    """`slot` counts from 1; `first` is the table with the route into the device."""
    return first + slot


def routed_table(first: int) -> int:
    """The table of addresses that are routed to the gateway: no router outside leads to a host that has one."""
    return first + TABLES // 4 - 1


def own_table(first: int, slot: int) -> int:
    """The table of the gateway's own packets by an uplink: the same way, and with the source that they get."""
    return first + TABLES // 4 + slot


def tenant_table(first: int, number: int) -> int:
    return first + TABLES // 2 + number


# --------------------------------------------------------------------------- marks

BYTE = 0xFF
TENANT_MASK = BYTE  # of the packet mark in stage 2: the tenant in whose networks the destination lies
UPLINK_MASK, UPLINK_SHIFT = BYTE << 8, 8  # of the packet mark in stage 2: the uplink of the translated source
TARGET_MASK = BYTE  # of the conntrack mark, of tenants' flows only: the tenant of the server
ORIGIN_MASK, ORIGIN_SHIFT = BYTE << 8, 8  # of the same: the tenant of the client

MAX_TENANTS = BYTE
MAX_ANNOUNCED = 1024  # addresses of one uplink: the kernel looks for one in 16 lists (PNEIGH_HASHMASK)
MAX_UPLINKS = BYTE


def uplink_bits(slot: int) -> int:
    """The uplink's part of a packet mark."""
    assert 1 <= slot <= MAX_UPLINKS  # language/check/uplinks.py bounds it
    return slot << UPLINK_SHIFT


# --------------------------------------------------------------------------- link groups


def device_group(link_group: int) -> int:
    """The link group of the device alone, one behind that of the uplinks."""
    return link_group + 1


# --------------------------------------------------------------------------- priorities of nft chains

RAW = -450  # before defragmentation (-400): at -300 stage 2 would defragment again
CONNTRACK = -200  # NF_IP_PRI_CONNTRACK: packets have no state before it
TENANTS = -150
OWN = -150  # conntrack has told what a packet of the gateway belongs to
OTHERS = -140
MSS = -150  # of the forward hook, as tools for mangling have it
DSTNAT = -110  # before the usual -100, so that no chain of another tool takes the packet first
DECRYPTED = -90  # after every destination NAT, before routing
SRCNAT = 90  # before the usual 100
GUARD = 300  # after every source NAT, and before conntrack confirms a flow that is dropped here
OWN_ANSWERS = 300
MARK_HOOK = 0x7FFFFFFF  # INT_MAX, that of conntrack confirm

# --------------------------------------------------------------------------- FIB rules

PRIORITIES = 1000  # the block of priorities
MAIN_PRIORITY = 32766  # of the kernel's rule for table main
OWN_CONNECTED = MAIN_PRIORITY - 2  # the gateway's own packets: what main knows, without its default routes
OWN_DEFAULT = MAIN_PRIORITY - 1  # the same: the uplink to take, where main's default route leads by another one
MAX_HONOURED_BEFORE_MAIN, MAX_HONOURED_BEHIND_MAIN = 20, 4  # rules of others, in each family
MAX_OWN_LAYERS = 80  # changes of the way among what the spec says of the gateway's own packets
MAX_RULED_SOURCES = 32  # source prefixes; past them an nft map finds the uplink: 100 rules cost 15 % of the rate


@dataclass(frozen=True)
class Priorities:
    """Priorities of the FIB rules, from `numbers.rulePriority` on. Their order is the design (ADR 0004)."""

    base: int

    @property
    def local_errors(self) -> int:  # the gateway's own ICMP errors about NATed flows take the NAT way
        return self.base

    @property
    def local_skips_steering(self) -> int:
        return self.base + 1

    @property
    def refused(self) -> int:  # aliases of far hosts that have a number of the gateway itself
        return self.base + 5

    @property
    def answers_of_others(self) -> int:  # of inside hosts, to what another tool translates
        return self.base + 9

    @property
    def steer(self) -> int:
        return self.base + 10

    @property
    def uplinks_to_inside(self) -> int:
        return self.base + 11

    @property
    def tenants(self) -> int:
        return self.base + 20

    @property
    def twice(self) -> int:
        return self.base + 30

    # From here on of what uplinks bring to networks that the spec does not name.
    @property
    def stage_2_skips_uplinks(self) -> int:  # stage 2 asks none of these
        return self.base + 39

    @property
    def uplinks_to_routed(self) -> int:  # what main knows more exactly than a route of the spec
        return self.base + 40

    @property
    def uplinks_past_others(self) -> int:  # what routes of the spec are about
        return self.base + 41

    def uplinks_to_honoured(self, index: int) -> int:  # rules of others that stand before main
        assert index < MAX_HONOURED_BEFORE_MAIN
        return self.base + 50 + index

    @property
    def uplinks_to_others(self) -> int:  # networks of main
        return self.base + 70

    def uplinks_to_honoured_behind(self, index: int) -> int:
        assert index < MAX_HONOURED_BEHIND_MAIN
        return self.base + 71 + index

    @property
    def steer_uplinks(self) -> int:
        return self.base + 80

    @property
    def not_routed(self) -> int:  # past the routes of the spec
        return self.base + 99

    def policy(self, index: int) -> int:
        return self.base + 100 + index

    def honoured(self, index: int) -> int:  # rules of others that stand before main
        assert index < MAX_HONOURED_BEFORE_MAIN
        return self.base + 480 + index

    @property
    def connected(self) -> int:  # main, without its default routes and without the uplinks
        return self.base + 500

    def honoured_behind(self, index: int) -> int:
        assert index < MAX_HONOURED_BEHIND_MAIN
        return self.base + 501 + index

    @property
    def local_honoured(self) -> int:  # what others lead to an inside network, for the gateway's own packets
        return self.base + 505

    @property
    def local_bound(self) -> int:  # what is bound to an uplink's interface is meant for no inside host
        return self.base + 509

    @property
    def local_to_inside(self) -> int:
        return self.base + 510

    @property
    def local_backstop(self) -> int:
        return self.base + 511

    @property
    def routed(self) -> int:  # public addresses of this gateway that no host has
        return self.base + 520

    @property
    def past_inside(self) -> int:  # the target of local_bound
        return self.base + 599

    @property
    def sources(self) -> int:
        return self.base + 600

    @property
    def unlisted(self) -> int:  # own packets from further addresses of uplinks' interfaces
        return self.base + 601

    @property
    def others(self) -> int:  # answers of flows that other tools translate
        return self.base + 605

    @property
    def source_map(self) -> int:
        return self.base + 610

    @property
    def answers(self) -> int:  # of inside hosts, untranslated, to networks behind an uplink
        return self.base + 650

    @property
    def untranslated_within(self) -> int:  # lines that name a part of an inside network
        return self.base + 690

    @property
    def stays_inside(self) -> int:
        return self.base + 695

    @property
    def untranslated(self) -> int:
        return self.base + 700

    @property
    def own_foreign(self) -> int:  # networks in tables of others, before what the spec says of own packets
        return self.base + 702

    @property
    def own_bound(self) -> int:  # what is bound to an interface stays with it
        return self.base + 705

    def own(self, layer: int) -> int:  # what the spec says of the gateway's own packets
        assert layer < MAX_OWN_LAYERS
        return self.base + 710 + layer

    @property
    def local_skips_backstop(self) -> int:
        return self.base + 800

    @property
    def backstop(self) -> int:
        return self.base + 900

    @property
    def end(self) -> int:
        return self.base + 999

    @property
    def local_last_resort(self) -> int:  # behind the kernel's own rules: their last is 32767
        return self.base + 32767
