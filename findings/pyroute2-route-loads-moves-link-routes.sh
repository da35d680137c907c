#!/usr/bin/env bash
# `IPRoute.route_loads` of what `route_dumps` gave, with nothing changed in between, takes IPv6 from interfaces: it replaces route by route,
# and the kernel lets the route of one interface replace that of another where network and metric are the same. So is fe80::/64 of every
# interface, without which it reaches no neighbour. One of them has it twice afterwards; nothing is raised.
. "$(dirname "$0")/lib.sh"
wheel pyroute2==0.9.7
echo "kernel: $(uname -r)"

inside sysctl -qw net.ipv6.conf.default.accept_dad=0
wire wan0 isp0
wire wan1 isp1
routes() { inside ip -6 route show fe80::/64 | sed 's/ proto.*//'; }
four() { [ "$(routes | sort -u | wc -l)" = 4 ]; }
until_seen four
same "interfaces with a route for link-local addresses" 4 "$(routes | sort -u | wc -l)"
inside python3 - <<'P'
from pyroute2 import IPRoute

with IPRoute() as ip:
    saved = ip.route_dumps()
    ip.route_loads(saved)
P
same "routes after they were saved and loaded, and interfaces" "4 3" "$(routes | wc -l) $(routes | sort -u | wc -l)"
