#!/usr/bin/env bash
# A gateway holds back its own networks with `blackhole 10.0.0.0/8` and `unreachable default`. jc makes of `ip route` a route to "blackhole"
# and one to "unreachable": which networks they are about is lost, without a word. ntc-templates takes `prohibit` for the network,
# with "172.16.0.0/12" as how it is reached, leaves `unreachable` out, and refuses the whole listing for a blackhole
# that has a protocol. A route with a gateway of IPv6 goes by "inet6" to jc; of two paths each is a network called "nexthop".
. "$(dirname "$0")/lib.sh"
debian13 iproute2=6.15.0-1
wheel jc==1.26.1 ntc-templates==9.3.0 textfsm==2.1.0
echo "kernel: $(uname -r)"

wire wan0 isp0
inside13 ip addr add 203.0.113.2/24 dev wan0
listed() { inside13 ip route flush table main; for route in "$@"; do inside13 ip route add $route; done; inside13 ip route; }
jc() {
    listed "$@" | python3 -c '
import sys
import jc

for route in jc.parse("ip-route", sys.stdin.read()):
    print(*(f"{name}={value}" for name, value in route.items()))'
}
ntc() {
    listed "$@" | python3 -c '
import sys
from ntc_templates.parse import parse_output
from textfsm import TextFSMError

try:
    for route in parse_output(platform="linux", command="ip route show", data=sys.stdin.read()):
        print(*(f"{name}={value}" for name, value in route.items() if value))
except TextFSMError as error:
    print(str(error).partition(" Rule Line")[0])'
}
net=203.0.113.0/24
same "what jc reads" "ip=default via=203.0.113.1 dev=wan0
ip=unreachable metric=9999
ip=blackhole proto=static
ip=prohibit
ip=198.51.100.0/24 via=inet6 dev=wan0
ip=203.0.113.0/24 dev=wan0 scope=link" "$(jc "$net dev wan0" "default via 203.0.113.1" "unreachable default metric 9999" "blackhole 10.0.0.0/8 proto static" \
    "prohibit 172.16.0.0/12" "198.51.100.0/24 via inet6 fe80::1 dev wan0")"
same "and of two paths" "ip=default
ip=nexthop via=203.0.113.1 dev=wan0
ip=nexthop via=203.0.113.9 dev=wan0
ip=203.0.113.0/24 dev=wan0 scope=link" "$(jc "$net dev wan0" "default nexthop via 203.0.113.1 nexthop via 203.0.113.9")"
same "what ntc-templates reads" "network=default nexthop_ip=203.0.113.1 nexthop_if=wan0
network=prohibit reachability=172.16.0.0/12
network=203.0.113.0/24 nexthop_if=wan0 scope=link" "$(ntc "$net dev wan0" "default via 203.0.113.1" "unreachable default metric 9999" "prohibit 172.16.0.0/12")"
same "and of a blackhole with a protocol" "State Error raised." "$(ntc "$net dev wan0" "blackhole 10.0.0.0/8 proto static")"
