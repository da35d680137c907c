#!/usr/bin/env bash
# Since Linux 6.12 a next hop of a group may weigh up to 65535. A route by such a group is listed with what is left of the weight over
# multiples of 256: two uplinks with 257 to 1 are `weight 1` and `weight 1` to `ip route`, as if they were equal, and so to all that reads
# routes from the kernel. `ip nexthop` of iproute2 6.1 shows "group 1/2" for it, and takes no such weight; that of 6.15 shows 257. Flows are
# spread by 257 to 1. To copy the route as it is listed makes one that spreads them evenly.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
wheel pyroute2==0.9.7
echo "$(inside ip -V), $(inside13 ip -V), pyroute2 0.9.7, kernel $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 192.0.2.2/24 dev wan0
inside ip addr add 198.51.100.2/24 dev wan1
inside ip nexthop add id 1 via 192.0.2.1 dev wan0
inside ip nexthop add id 2 via 198.51.100.1 dev wan1
inside sysctl -qw net.ipv4.fib_multipath_hash_policy=1
same "6.1 asked for 257 to 1" 'Error: argument "257" is wrong: "weight" is invalid' "$(inside ip nexthop add id 10 group 1,257/2,1 2>&1 || true)"
inside13 ip nexthop add id 10 group 1,257/2,1
inside13 ip nexthop add id 11 group 1,1000/2,1000
inside13 ip route add 203.0.113.0/25 nhid 10
inside13 ip route add 203.0.113.128/25 nhid 11
same "the groups, by 6.15" "id 10 group 1,257/2 
id 11 group 1,1000/2,1000 " "$(inside13 ip nexthop show groups)"
same "and by 6.1" "id 10 group 1/2 
id 11 group 1,232/2,232 " "$(inside ip nexthop show groups)"
for ip in "inside ip" "inside13 ip"; do
    same "the routes, by $ip" "203.0.113.0/25 nhid 10
nexthop via 192.0.2.1 dev wan0 weight 1
nexthop via 198.51.100.1 dev wan1 weight 1
203.0.113.128/25 nhid 11
nexthop via 192.0.2.1 dev wan0 weight 232
nexthop via 198.51.100.1 dev wan1 weight 232" "$($ip route show root 203.0.113.0/24 | sed 's/^[\t ]*//; s/ *$//')"
done
same "the first one, by pyroute2, which counts from 0" "[0, 0]" "$(inside python3 - <<'P'
from pyroute2 import IPRoute

with IPRoute() as ipr:
    print(*([hop["hops"] for hop in route.get("multipath")] for route in ipr.get_routes() if route.get("dst") == "203.0.113.0"))
P
)"

# How many of 1000 flows, by their source ports, take the second uplink.
by_second() {
    for port in $(seq 20001 21000); do echo "route get 203.0.113.1 ipproto tcp sport $port dport 443"; done | inside ip -batch - | grep -c 'dev wan1' || true
}
some() { if [ "$1" -lt 50 ]; then echo "nearly none"; elif [ "$1" -gt 350 ] && [ "$1" -lt 650 ]; then echo "about half"; else echo "$1"; fi; }
same "flows of 1000 by the second uplink" "nearly none" "$(some "$(by_second)")"
inside ip route del 203.0.113.0/25
# shellcheck disable=SC2046 # the route as it was listed
inside ip route add 203.0.113.0/25 nexthop via 192.0.2.1 dev wan0 weight 1 nexthop via 198.51.100.1 dev wan1 weight 1
same "and once the route is added as it was listed" "about half" "$(some "$(by_second)")"
