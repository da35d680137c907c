#!/usr/bin/env bash
# One route with a next hop object (`nhid`), which FRR makes by default, stops `ip route flush` and `ip route restore`: the flush of
# a table leaves it and others, and of a saved table what follows it is not restored. The kernel lists such a route with the
# next hop beside the object, and refuses it when it gets both back. iproute2 7.3 does the same.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
echo "ip: $(inside ip -V), $(inside13 ip -V)"
echo "kernel: $(uname -r)"

wire wan0 wan1
inside ip addr add 203.0.113.2/24 dev wan0
inside ip nexthop add id 5 via 203.0.113.1 dev wan0
routes() { inside ip route show table 7 | wc -l; }
fresh() { # a table of 250 ordinary routes and one with a next hop object
    inside ip route del 10.0.0.0/24 table 7 2>/dev/null || true
    inside ip route flush table 7 2>/dev/null || true
    inside ip route add 10.0.0.0/24 nhid 5 table 7
    for network in $(seq 250); do echo "route add 10.1.$network.0/24 via 203.0.113.1 table 7"; done | inside ip -batch -
}
some() { [ "$1" -gt 1 ] && echo "the one and others" || echo "$1"; }

for with in inside inside13; do
    fresh
    "$with" ip route save table 7 >"$scratch/routes"
    same "routes in table 7" "251" "$(routes)"
    same "what ip route flush table 7 says" $'Failed to send flush request: Invalid argument\nFlush terminated' \
        "$("$with" ip route flush table 7 2>&1 || true)"
    same "what it leaves" "the one and others" "$(some "$(routes)")"
    inside ip route del 10.0.0.0/24 table 7
    inside ip route flush table 7
    same "what ip route restore says" "Error: Nexthop specification and nexthop id are mutually exclusive." \
        "$("$with" ip route restore <"$scratch/routes" 2>&1 || true)"
    same "routes that it restored" "0" "$(routes)"
done
