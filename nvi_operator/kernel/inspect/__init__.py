"""What a machine is like: facts for a topology, and a survey for doctor. Changes nothing.

facts         what a reconcile asks: main_routes (next_hop_objects), foreign_rules, leases, settings, flow_cache
survey        what doctor asks: machine (process), nft, xt, xfrm, tc, other_routes, census
host_routes   what `explain --live` asks
conntrack, translations, sessions: the table and its flows, and ssh sessions with the gateway
"""
