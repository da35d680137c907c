#!/usr/bin/env bash
# FRR gives its routes next hops of the kernel's (`nhid`), and systemd-networkd 252, told to leave foreign routes alone
# (ManageForeignRoutes=no), deletes foreign next hops all the same when it starts. With a next hop the kernel deletes its
# routes, and reports none of them: zebra puts the next hops back, not the routes, and `show ip route` says that
# they are in the kernel (`*`).
#
# FRR's `no zebra nexthop kernel enable` prevents it; KeepConfiguration=static does not. networkd 257 of Debian 13 deletes the routes
# first, so that FRR 10.3 hears of it and puts them back, and has ManageForeignNextHops=no, which 252 does not know.
. "$(dirname "$0")/lib.sh"
deb systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 "${frr_packages[@]}"
networkd=$(find "$root" -name systemd-networkd -type f)
"$networkd" --version | head -1
"$root/usr/lib/frr/zebra" --version | head -1
echo "kernel: $(uname -r)"

printf '[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n' >"$scratch/networkd.conf"
mkdir "$scratch/frr"
echo "ip route 198.51.100.0/24 203.0.113.1" >"$scratch/staticd.conf"
shown() { frr_answers zebra "show ip route" | grep -o '^S.*wan0'; }
routes() { inside ip route show 198.51.100.0/24 table all | sed 's/nhid [0-9]* //; s/ *$//'; }

run() { # LINE for zebra.conf
    echo "$1" >"$scratch/zebra.conf"
    printf '[Match]\nName=wan0\n[Network]\nAddress=203.0.113.2/24\nIPv6AcceptRA=no\nKeepConfiguration=static\n' >"$scratch/wan0.network"
    inside ip link del wan0 2>/dev/null || true
    rm -f "$scratch"/frr/*
    inside ip link add wan0 type veth peer name wan1
    inside ip link set wan1 up
    inside ip link set wan0 up
    inside ip addr add 203.0.113.2/24 dev wan0
    frr zebra
    until_seen test -S "$scratch/frr/zserv.api"
    frr staticd
    until_seen sh -c "ip netns exec $netns ip route | grep 198.51.100"
    inside ip route add 198.51.100.0/24 via 203.0.113.1 proto static table 7
    inside_with_daemons "$networkd" >"$scratch/log" 2>&1 &
    until_seen grep -q "wan0: State changed: configuring -> configured\|Enumeration completed" "$scratch/log"
    sleep 3 # for what it might still delete, and zebra put back
}

frrs="198.51.100.0/24 via 203.0.113.1 dev wan0 proto 196 metric 20"
run ""
same "after a start of networkd FRR's route is gone; one without a next hop of the kernel's is still there" \
    "198.51.100.0/24 via 203.0.113.1 dev wan0 table 7 proto static" "$(routes | sort)"
same "FRR's next hop is back" "1" "$(inside ip nexthop | grep -c 'via 203.0.113.1 dev wan0' | sed 's/^[1-9].*/1/')"
same "what zebra says" "S>* 198.51.100.0/24 [1/0] via 203.0.113.1, wan0" "$(shown)"
end_daemons
run "no zebra nexthop kernel enable"
same "with next hops in the routes themselves it stays" "$frrs
198.51.100.0/24 via 203.0.113.1 dev wan0 table 7 proto static" "$(routes | sort)"
