#!/usr/bin/env bash
# A gateway with two uplinks has a default route in `main`, and another one in a table that rules choose. For IPv4 `netstat -rn`,
# `route -n` and SNMP show those of `main`. For IPv6 they show the routes of every table, without a word of the table: two
# default routes, of which the first is the one that ordinary packets never take. The kernel's /proc/net/ipv6_route has them all, other than
# /proc/net/route. `ip -6 route` and the kernel's own choice show what is so.
. "$(dirname "$0")/lib.sh"
debian13 net-tools=2.10-1.3 busybox=1:1.37.0-6+b9 snmpd=5.9.4+dfsg-2+deb13u1 snmp=5.9.4+dfsg-2+deb13u1 iproute2=6.15.0-1
echo "$(inside13 netstat --version | sed -n 1p), $(inside13 busybox | sed -n '1s/ (.*//p'), $(inside13 snmpd -v | sed -n '/version/s/ *//p'), kernel $(uname -r)"

wire wan0 isp0
wire wan1 isp1
for family in -4 -6; do
    if [ $family = -4 ]; then first=203.0.113. second=198.51.100. length=24 rest=(); else first=2001:db8:1:: second=2001:db8:2:: length=64 rest=(nodad); fi
    inside13 ip addr add "${first}2/$length" dev wan0 ${rest[@]+"${rest[@]}"}
    inside13 ip addr add "${second}2/$length" dev wan1 ${rest[@]+"${rest[@]}"}
    inside13 ip $family route add default via "${first}1" dev wan0
    inside13 ip $family route add default via "${second}1" dev wan1 table 7
    inside13 ip $family rule add pref 100 from "${second}2" lookup 7
done
same "the routes in main" "default via 203.0.113.1 dev wan0 
default via 2001:db8:1::1 dev wan0 metric 1024 pref medium" "$(inside13 ip -4 route show default; inside13 ip -6 route show default)"
same "netstat -rn, of IPv4" "0.0.0.0 203.0.113.1 wan0" "$(inside13 netstat -rn | awk '/^0.0.0.0/ {print $1, $2, $NF}')"
seen='::/0 2001:db8:2::1 wan1
::/0 2001:db8:1::1 wan0'
same "netstat -rn6" "$seen" "$(inside13 netstat -rn6 | awk '/^::\/0/ && / UG / {print $1, $2, $NF}')"
same "route -6n" "$seen" "$(inside13 route -6n | awk '/^::\/0/ && / UG / {print $1, $2, $NF}')"
same "route of BusyBox" "$seen" "$(inside13 busybox route -A inet6 | awk '/^::\/0/ && / UG / {print $1, $2, $NF}')"

printf 'rocommunity public\nagentaddress udp:127.0.0.1:1161\n' >"$root13/etc/snmp/own.conf"
mkdir -p "$root13/var/lib/snmp"
inside13 snmpd -f -C -c /etc/snmp/own.conf >"$scratch/snmpd.log" 2>&1 &
walk() { inside13 snmpwalk -m '' -On -Oq -v2c -c public 127.0.0.1:1161 "$1"; }
until_seen walk .1.3.6.1.2.1.1.1
# inetCidrRouteIfIndex of destinations of IPv4 (1) and IPv6 (2), both of length 0
snmp() { walk ".1.3.6.1.2.1.4.24.7.1.7.$1" | sed -n "s/.*$2.* \([0-9]*\)$/\1/p" | while read -r index; do inside13 ip -o link | sed -n "s/^$index: \([^@:]*\).*/\1/p"; done; }
same "SNMP, of IPv4" "wan0" "$(snmp 1.4.0.0.0.0.0 '')"
same "SNMP, of IPv6" "wan1
wan0" "$(snmp 2.16.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 2.16.32.1.13.184)"
same "what a packet takes" "from :: via 2001:db8:1::1 dev wan0" "$(inside13 ip -6 route get 2001:db8:9::1 | sed -n 's/.*\(from .* dev [^ ]*\).*/\1/p')"
