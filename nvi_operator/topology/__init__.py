"""One gateway, resolved: names became addresses, tables and tenants. What every kind compiles from. Pure.

resolve       spec and facts to a Topology, in the order in which one thing needs another. Start here
model         the Topology: interfaces (uplinks, inside, tenants), rules (the entries of each section)
numbers       every table, priority, mark bit and limit
facts         what is read of a host (assume: where none is at hand); health, flows, forward_use: what probes and
              conntrack tell

each section of the spec:
    uplinks (addresses, announced, far_side, delegated), inside, dataplane, source_nat, forwards (servers), static,
    redirects, twice_nat, routes, own (the gateway's own packets), flow_cache (blockers)
ways          which of several uplinks is taken
foreign_rules: what other tools' FIB rules become
exceptions, prefixes: sets of networks
incremental   the fast way after an edit

what a user is told: notes, without_effect, faults, lockout; first_spec: a spec for a host that has none
"""
