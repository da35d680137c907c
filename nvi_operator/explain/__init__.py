"""What the gateway does with a packet, before it does it: a walker over the typed objects that an apply writes. Pure.

packet     one packet; a region is many (region)
machine    what decides: the owned objects, routes of `main`, interfaces, conntrack entries
walk       the answer: steps, verdict, the packet as it leaves, the conntrack entry. Start here
limits     what is not modelled, by name
"""
