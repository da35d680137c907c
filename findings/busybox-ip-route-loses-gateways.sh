#!/usr/bin/env bash
# `ip route` of BusyBox, of small routers and rescue systems, lists a route of IPv4 whose gateway has an address of IPv6, as unnumbered uplinks
# and BGP have it, as one without a gateway: as if all those hosts were on the wire. A default route by two uplinks is a
# line "default" without a word of either. What it lists, added again by itself, is another route, or none.
. "$(dirname "$0")/lib.sh"
deb busybox=1:1.35.0-4+deb12u1+b1 iproute2=6.1.0-3
debian13 busybox=1:1.37.0-6+b9
echo "BusyBox: $(inside busybox | sed -n 1p), $(inside13 busybox | sed -n 1p)"
echo "kernel: $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 203.0.113.2/24 dev wan0
inside ip addr add 192.0.2.2/24 dev wan1
inside ip route add 198.51.100.0/24 via inet6 fe80::1 dev wan0
inside ip route add default nexthop via 203.0.113.1 dev wan0 nexthop via 192.0.2.1 dev wan1
same "by iproute2" "default 
	nexthop via 203.0.113.1 dev wan0 weight 1 
	nexthop via 192.0.2.1 dev wan1 weight 1 
192.0.2.0/24 dev wan1 proto kernel scope link src 192.0.2.2 
198.51.100.0/24 via inet6 fe80::1 dev wan0 
203.0.113.0/24 dev wan0 proto kernel scope link src 203.0.113.2 " "$(inside ip route)"
for busybox in "inside busybox" "inside13 busybox"; do
    same "by BusyBox" "default
192.0.2.0/24 dev wan1 scope link src 192.0.2.2
198.51.100.0/24 dev wan0
203.0.113.0/24 dev wan0 scope link src 203.0.113.2" "$($busybox ip route | sed 's/  */ /g; s/ $//')"
done
read -ra route <<<"$(inside13 busybox ip route | grep ^198)"
inside ip route del 198.51.100.0/24
inside13 busybox ip route add "${route[@]}"
same "what a packet takes once the listed route is added" "198.51.100.9 dev wan0" "$(inside ip route get 198.51.100.9 | sed -n 's/ src.*//p')"
