#!/usr/bin/env bash
# `get_default_routes()` of pyroute2 has a parameter for the table, `main` if not given, and ignores it: it returns the default
# routes of every table, and whoever takes the first one gets that of a table which few packets are led to. An `unreachable`
# default is one of them; `get_routes(table=...)`, from the same class, keeps to its table.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
wheel pyroute2==0.9.7
echo "pyroute2 0.9.7, kernel: $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 203.0.113.2/24 dev wan0
inside ip addr add 198.51.100.2/24 dev wan1
inside ip route add default via 203.0.113.1 dev wan0
inside ip route add default via 198.51.100.1 dev wan1 table 7
inside ip route add unreachable default table 8
gateways() { # METHOD [TABLE]: table and gateway of each route that it returns
    inside python3 -W ignore - "$@" <<'P'
import socket
import sys

from pyroute2 import IPRoute

with IPRoute() as ip:
    method = getattr(ip, sys.argv[1])
    for route in method(family=socket.AF_INET, **{"table": int(table) for table in sys.argv[2:]}):
        print(route.get_attr("RTA_TABLE"), route.get_attr("RTA_GATEWAY"))
P
}
same "by ip route" "default via 203.0.113.1 dev wan0 " "$(inside ip route show default)"
every='7 198.51.100.1
8 None
254 203.0.113.1'
same "get_default_routes(): table and gateway" "$every" "$(gateways get_default_routes)"
same "get_default_routes(table=254)" "$every" "$(gateways get_default_routes 254)"
same "get_default_routes(table=7)" "$every" "$(gateways get_default_routes 7)"
same "get_routes(table=7)" "7 198.51.100.1" "$(gateways get_routes 7)"
