"""The gateway's own packets about NATed flows get the local bit, and with it both passes.

The kernel routes a packet before it translates its source back. Without this an answer of a service behind
destination NAT, or an ICMP error about a NATed flow, is routed by the untranslated source and leaves by the default
uplink with the address of another one.
"""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.ast import Chain, Field, Hook, Masked, Match, Rule, SetBits, Verdict
from nvi_operator.ruleset import fields as f
from nvi_operator.ruleset.guard import of_uplink, to_the_far_side
from nvi_operator.topology.model import Topology
from nvi_operator.topology.numbers import ORIGIN_MASK, OWN, OWN_ANSWERS

_SERVICES = "own_services"

_ICMP_TYPE = {4: Field("icmp type"), 6: Field("icmpv6 type")}


def own_chains(topology: Topology) -> Iterator[Chain]:
    rules = (*_errors(topology), *_to_services(topology))
    yield Chain("own_errors", Hook("route", "output", OWN), rules)
    yield _ends(topology)
    if topology.uplinks:
        yield Chain(_SERVICES, None, tuple(_of_services(topology)))


def _errors(topology: Topology) -> Iterator[Rule]:
    """Without these rules inbound flows have a PMTU black hole."""
    for family in topology.families:
        yield (
            f.is_icmp_error(family),
            Match(f.CT_STATE, "in", frozenset({"related"})),
            Match(f.CT_STATUS, "in", frozenset({"snat", "dnat"})),
            SetBits(f.META_MARK, topology.local_mask),
        )


def _to_services(topology: Topology) -> Iterator[Rule]:
    """A target of a forward, of 1:1 or of twice NAT may be an address of the gateway itself.

    Packets that another tool redirects to the gateway itself stay on `lo`.
    """
    reply = Match(f.CT_DIRECTION, "==", "reply")
    for family in topology.families:
        # To the tenant that asked: of equal networks main knows the first only.
        if shared := topology.of_several_tenants(family):
            of_tenant = Match(Masked(f.CT_MARK, ORIGIN_MASK), "!=", 0)
            yield (
                reply,
                of_tenant,
                f.in_networks(f.daddr(family), shared),
                SetBits(f.META_MARK, topology.local_mask),
            )
        # From an inside address to networks behind an uplink: guarded like the answers of inside hosts.
        for matches in to_the_far_side(topology, family):
            yield (reply, *matches, SetBits(f.META_MARK, topology.local_mask))
    if topology.uplinks:
        yield (reply, f.is_dnated(), Match(f.OIFNAME, "!=", "lo"), Verdict("jump", _SERVICES))


def _of_services(topology: Topology) -> Iterator[Rule]:
    """Only if an uplink's address was asked: a transparent proxy answers with the address of any host."""
    for family in topology.families:
        for ifname in topology.uplink_ifnames:
            for asked in of_uplink(topology, ifname, family, f.original_daddr(family)):
                yield (asked, SetBits(f.META_MARK, topology.local_mask))


def _ends(topology: Topology) -> Chain:
    """The gateway's own answers that end a flow get the stage bit: the proof for the program at an interface's egress
    that this table has seen the packet that they answer.

    Without the table the gateway itself receives packets to a published server, and answers with a reset.
    """
    leaves = (Match(f.OIFNAME, "!=", "lo"), f.leaves_by_device(topology, op="!="))
    rules: list[Rule] = list(_to_groups(topology))
    answers: list[Match] = [Match(Field("tcp flags"), "in", frozenset({"rst"}))]
    answers += [Match(_ICMP_TYPE[family], "==", "destination-unreachable") for family in topology.families]
    rules += [(answer, *leaves, SetBits(f.META_MARK, topology.stage_mask)) for answer in answers]
    return Chain("own_answers", Hook("filter", "output", OWN_ANSWERS), tuple(rules))


def _to_groups(topology: Topology) -> Iterator[Rule]:
    """The kernel loops multicast and broadcast back to members on the gateway, as received on the interface that it
    leaves by: with the gateway's address as its source, and its mark. The stage bit tells the anti-spoof guard.

    `meta pkttype` cannot tell: it is multicast or broadcast for these packets (nft_meta_get_eval_pkttype_lo()).
    """
    if topology.guards.anti_spoof == "off":
        return
    if 4 in topology.families:
        groups = Match(Field("fib daddr type"), "==", frozenset({"multicast", "broadcast"}))
        yield (f.of_family(4), groups, SetBits(f.META_MARK, topology.stage_mask))
    if 6 in topology.families:
        yield (Match(f.daddr(6), "==", "ff00::/8"), SetBits(f.META_MARK, topology.stage_mask))
