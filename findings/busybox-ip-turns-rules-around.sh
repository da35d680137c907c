#!/usr/bin/env bash
# `ip rule` of BusyBox, which small gateways and their scripts have, lists a rule with `not` as one without, so as its opposite,
# and rules for a port, an out-interface or a protocol as rules for every packet. A route with two next hops is listed with
# none. The exit code is 0 throughout.
. "$(dirname "$0")/lib.sh"
deb busybox=1:1.35.0-4+deb12u1+b1 iproute2=6.1.0-3
{ inside busybox || true; } 2>&1 | sed -n 1p
inside ip -V
echo "kernel: $(uname -r)"

wire wan0 isp0
inside ip addr add 203.0.113.2/24 dev wan0
inside ip rule add pref 100 not from 192.168.1.0/24 lookup 7
inside ip rule add pref 101 not fwmark 0x5/0xff lookup 7
inside ip rule add pref 102 ipproto tcp dport 22 lookup 7
inside ip rule add pref 103 oif wan0 lookup 7
inside ip route add 198.51.100.0/24 nexthop via 203.0.113.3 weight 2 nexthop via 203.0.113.4
listed() { # COMMAND...: of iproute2 or BusyBox
    "$@" rule list >"$scratch/rules"
    "$@" route list >"$scratch/routes"
    sed -n 's/\t/ /; s/ *$//; /^10[0-9]:/p' "$scratch/rules"
    sed -n 's/^\t/  /; s/  */ /g; s/ *$//; /198.51.100\|nexthop/p' "$scratch/routes"
}
same "listed by iproute2" "100: not from 192.168.1.0/24 lookup 7
101: not from all fwmark 0x5/0xff lookup 7
102: from all ipproto tcp dport 22 lookup 7
103: from all oif wan0 lookup 7
198.51.100.0/24
 nexthop via 203.0.113.3 dev wan0 weight 2
 nexthop via 203.0.113.4 dev wan0 weight 1" "$(listed inside ip)"
same "listed by BusyBox" "100: from 192.168.1.0/24 lookup 7
101: from all fwmark 0x5/0xff lookup 7
102: from all lookup 7
103: from all lookup 7
198.51.100.0/24" "$(listed inside busybox ip)"
