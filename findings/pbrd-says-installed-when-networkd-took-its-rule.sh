#!/usr/bin/env bash
# FRR's policy routing and systemd-networkd on one host: networkd, when it starts, deletes the FIB rule of a pbr-map, because
# it did not make it. pbrd neither notices nor puts it back, and `show pbr map` still prints "Installed: yes". It is so
# with any program that deletes the rule; networkd does at every restart, for instance at an upgrade, unless it has
# ManageForeignRoutingPolicyRules=no.
. "$(dirname "$0")/lib.sh"
deb systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 "${frr_packages[@]}"
networkd=$(find "$root" -name systemd-networkd -type f)
"$networkd" --version | head -1
"$root/usr/lib/frr/pbrd" --version | head -1

for name in wan lan; do
    inside ip link add ${name}0 type veth peer name ${name}1
    inside ip link set ${name}0 up
    inside ip link set ${name}1 up
done
inside ip addr add 203.0.113.2/24 dev wan0
inside ip addr add 192.168.1.1/24 dev lan0
printf '[Match]\nName=wan0\n[Network]\nAddress=203.0.113.2/24\nIPv6AcceptRA=no\nKeepConfiguration=static\n' >"$scratch/wan0.network"
mkdir "$scratch/frr"
touch "$scratch/zebra.conf"
cat >"$scratch/pbrd.conf" <<'C'
pbr-map LAN seq 10
 match src-ip 192.168.1.0/24
 set nexthop 203.0.113.1
interface lan0
 pbr-policy LAN
C

frr zebra
until_seen test -S "$scratch/frr/zserv.api"
frr pbrd
rule() { inside ip rule list pref 309; }
until_seen sh -c "ip netns exec $netns ip rule list pref 309 | grep lan0"
same "the rule of sequence 10" "309:	from 192.168.1.0/24 iif lan0 lookup 10000 proto zebra" "$(rule)"

inside_with_daemons "$networkd" >"$scratch/networkd.log" 2>&1 &
until_seen sh -c "! ip netns exec $netns ip rule list pref 309 | grep lan0"
sleep 3 # time for pbrd to put it back
same "after networkd has started" "" "$(rule)"
same "what pbrd says of it" "Installed: yes Reason: Valid" \
    "$(frr_answers pbrd enable "show pbr map LAN" | grep -o 'Installed: .* Reason: .*')"
