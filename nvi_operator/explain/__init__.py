"""What the gateway does with a packet, before it does it: a walker over the typed objects that an apply writes. Pure.

A packet is a region with one point, so that one packet and whole classes of flows take the same code (ADR 0039).

walk        the answer: steps, verdict, the packet as it leaves, the conntrack entry. Start here
packet      one packet (words, headers: as it is written); region: many. space (spans): what a region is made of, and
            how a test splits it
machine     what decides: the owned objects, routes, interfaces, conntrack entries. surroundings makes one
passes      the way from hook to hook, through both passes; passing: a class in the middle of it; step, verdict, flow
chains      rules of the table, with fields (numbers), matching, lookup (index), translation (unique, jhash)
conntrack, routing, source, programs, icmp_errors, flow_cache: as the kernel and the eBPF programs have them
limits      what is not modelled, by name
own_route, exchange: what the gateway itself can reach, before and after a change
traced, wanted: packets of `nvictl trace`, beside what is predicted of them
"""
