#!/usr/bin/env bash
# `nstat` shows what has been counted since it ran last. Where it ran last does not matter to it: each network namespace has counters of
# its own, and one file of the user holds those of the last namespace that was looked at. A namespace with 50 pings shows 47
# after one with 3 was asked, and one whose counters are lower than those of the other shows nothing at all, as if idle.
. "$(dirname "$0")/lib.sh"
debian13 iproute2=6.15.0-1
echo "$(inside13 nstat -V 2>&1), kernel $(uname -r)"

ip netns add "$netns-guest"
trap 'ip netns del "$netns-guest"; cleanup' EXIT
ip -n "$netns-guest" link set lo up
pinged() { # NAMESPACE COUNT: sends them to itself
    ip netns exec "$1" python3 - "$2" <<'P'
import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
    for _ in range(int(sys.argv[1])):
        ping.sendto(bytes.fromhex("0800f7ff00000000"), ("127.0.0.1", 0))
P
}
in_both() { # NAMESPACE: what nstat says there
    netns="$1" inside13 nstat IcmpInEchos | sed -n 's/^IcmpInEchos *\([0-9]*\) .*/\1/p'
}
home="$netns"
guest="$netns-guest"
pinged "$guest" 3
pinged "$home" 50
same "in the guest, with 3" 3 "$(in_both "$guest")"
same "then in the gateway, with 50" 47 "$(in_both "$home")"
pinged "$guest" 20
same "then in the guest, with 20 more" "" "$(in_both "$guest")"
same "and in the gateway, with none since" 27 "$(in_both "$home")"
