"""Sockets to rtnetlink, nf_tables and conntrack, for what libraries are too slow for.

socket        requests and answers. Start here
rtnetlink     rules and routes (route_messages). interfaces: links and addresses. nfnetlink: nftables
conntrack     flows, and an end to them. nat_events: as they begin and end. ctnetlink: how they are written
events        what the kernel reports by itself; flow_changes: what of it matters to the flow cache
"""
