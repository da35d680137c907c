#!/usr/bin/env bash
# FRR's policy routing takes `match dst-port`, `src-port`, `ecn`, `pcp` and `vlan`, and makes FIB rules of them without that condition: what
# was to lead DNS of a network over another uplink leads all of its UDP, or everything, over it. The kernel could match ports, and
# `show pbr map` says "Installed: yes". With iproute2 the same rule has its port. FRR 10.7 does the same.
. "$(dirname "$0")/lib.sh"
debian13 frr=10.3-3+deb13u1 iproute2=6.15.0-1 netbase=6.5
inside13 /usr/lib/frr/pbrd --version | head -1
inside13 ip -V

for name in wan lan; do
    wire "${name}0" "${name}1"
done
inside ip addr add 203.0.113.2/24 dev wan0
inside ip addr add 192.168.1.1/24 dev lan0
: >"$scratch/zebra.conf"
sequence() { printf 'pbr-map LAN seq %s\n match src-ip 192.168.1.0/24\n%s\n set nexthop 203.0.113.1\n' "$1" "$2"; }
{
    sequence 10 $' match ip-protocol udp\n match dst-port 53'
    sequence 20 ' match src-port 5060'
    sequence 30 ' match ecn 1'
    sequence 40 ' match pcp 5'
    sequence 50 ' match vlan 7'
    printf 'interface lan0\n pbr-policy LAN\n'
} >"$scratch/pbrd.conf"

frr13 zebra
until_seen test -S "$scratch/frr/zserv.api"
frr13 pbrd
rules() { inside13 ip rule | grep zebra | tr '\t' ' '; }
until_seen sh -c "ip netns exec $netns ip rule | grep ^349:"
from="from 192.168.1.0/24 iif lan0"
same "the rules of the five sequences" "309: $from ipproto udp lookup 10000 proto zebra
319: $from lookup 10001 proto zebra
329: $from lookup 10002 proto zebra
339: $from lookup 10003 proto zebra
349: $from lookup 10004 proto zebra" "$(rules)"
same "what pbrd says of them" "5 Installed: yes Reason: Valid" \
    "$(frr_answers pbrd enable "show pbr map LAN" | sed -n 's/.*\(Installed: .*\)Reason/\1Reason/p' | tr -s ' ' |
        sed 's/([0-9]*)//; s/^Installed: 1/Installed: yes/' | sort | uniq -c | sed 's/^ *//')"
inside13 ip rule add pref 400 from 192.168.1.0/24 iif lan0 ipproto udp dport 53 lookup 7
same "a rule of iproute2" "400: $from ipproto udp dport 53 lookup 7" "$(inside13 ip rule show pref 400 | tr '\t' ' ')"
