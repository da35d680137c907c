#!/usr/bin/env bash
# A route may be for packets of one type of service alone (`ip route add default tos 0x10 via ...`), and the others take the plain one. FRR's
# zebra reads it as a route for all: it forgets the plain default route, shows and announces the other, and looks up gateways of BGP by it.
# When the route for one type is deleted, zebra has no default route any more, while all packets take the one that the kernel has. BIRD
# leaves such routes out.
. "$(dirname "$0")/lib.sh"
debian13 frr=10.3-3+deb13u1 bird2=2.17.6-0+deb13u1 iproute2=6.15.0-1 netbase=6.5
inside13 /usr/lib/frr/zebra --version | sed -n 1p
echo "$(inside13 bird --version 2>&1), kernel $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 192.0.2.2/24 dev wan0
inside ip addr add 198.51.100.2/24 dev wan1
echo 'hostname gateway' >"$scratch/zebra.conf"
cat >"$root13/etc/bird/bird.conf" <<'B'
router id 192.0.2.2;
protocol device { scan time 1; }
protocol kernel { learn; scan time 1; ipv4 { import all; export none; }; }
B
mkdir -p "$root13/run/bird"
inside13 bird -u root -g root -f -c /etc/bird/bird.conf >"$scratch/bird.log" 2>&1 &
frr13 zebra
until_seen frr_answers zebra "show version"

zebra() { frr_answers zebra "show ip route kernel" | sed -n 's/^K[^ ]* *\(.*\), weight.*/\1/p'; }
bird() { inside13 birdc show route | sed -n '/unicast/{s/ .*//;N;s/\n\t/ /p}'; }
takes() { inside ip route get 203.0.113.1 ipproto tcp "$@" | sed -n 's/.*\(via [^ ]*\) \(dev [^ ]*\).*/\1 \2/p'; }
has() { [ "$("$1")" = "$2" ]; }

inside ip route add default via 192.0.2.1
until_seen has zebra "0.0.0.0/0 [0/0] via 192.0.2.1, wan0"
until_seen has bird "0.0.0.0/0 via 192.0.2.1 on wan0"
inside ip route add default tos 0x10 via 198.51.100.1
inside ip route add 10.0.0.0/8 tos 0x10 via 198.51.100.1
inside ip route add 172.16.0.0/12 via 192.0.2.1
same "the way of ordinary packets, and of those with TOS 0x10" "via 192.0.2.1 dev wan0
via 198.51.100.1 dev wan1" "$(takes; takes tos 0x10)"
last() { "$1" | grep -q 172.16; }
until_seen last zebra
until_seen last bird
same "the routes of zebra" "0.0.0.0/0 [0/0] via 198.51.100.1, wan1
10.0.0.0/8 [0/0] via 198.51.100.1, wan1
172.16.0.0/12 [0/0] via 192.0.2.1, wan0" "$(zebra)"
same "those of BIRD" "0.0.0.0/0 via 192.0.2.1 on wan0
172.16.0.0/12 via 192.0.2.1 on wan0" "$(bird | sort)"

inside ip route del default tos 0x10
inside ip route del 172.16.0.0/12
gone() { ! last "$1"; }
until_seen gone zebra
until_seen gone bird
same "once the route for TOS 0x10 is deleted: the kernel" "via 192.0.2.1 dev wan0" "$(takes)"
same "zebra" "10.0.0.0/8 [0/0] via 198.51.100.1, wan1" "$(zebra)"
same "BIRD" "0.0.0.0/0 via 192.0.2.1 on wan0" "$(bird)"
