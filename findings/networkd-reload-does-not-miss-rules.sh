#!/usr/bin/env bash
# A reload of systemd-networkd makes what its files say, but only for links whose files have changed since: a FIB rule and a route that were deleted
# stay away, and one that was replaced stays replaced, although networkd heard of it and calls the link configured. After `touch` of the
# file the same reload puts all of it back.
. "$(dirname "$0")/lib.sh"
debian13 systemd=257.13-1~deb13u1 coreutils=9.7-3
inside13 /usr/lib/systemd/systemd-networkd --version | sed -n 1p
echo "kernel: $(uname -r)"

wire wan0 isp0
mkdir -p "$root13"/run/udev/data "$root13"/run/systemd/netif/{links,leases,lldp} "$root13"/etc/systemd/network
for number in $(seq 64); do echo I:1 >"$root13/run/udev/data/n$number"; done
printf '%s\n' root:x:0:0::/: systemd-network:x:60998:60998::/: >"$root13/etc/passwd"
printf '%s\n' root:x:0: systemd-network:x:60998: >"$root13/etc/group"
chown -R 60998:60998 "$root13/run/systemd/netif"
cat >"$root13/etc/systemd/network/wan0.network" <<'C'
[Match]
Name=wan0
[Network]
Address=203.0.113.2/24
IPv6AcceptRA=no
LinkLocalAddressing=no
[Route]
Destination=10.1.0.0/16
Gateway=203.0.113.1
Table=100
[Route]
Destination=10.2.0.0/16
Gateway=203.0.113.1
Table=100
[RoutingPolicyRule]
From=192.168.1.0/24
Table=100
Priority=100
C
inside13 /usr/lib/systemd/systemd-networkd >"$scratch/log" 2>&1 &
state() {
    inside ip rule show pref 100 | tr '\t' ' '
    inside ip route show table 100 2>/dev/null | sed 's/ *$//'
}
shows() { [ "$(state)" = "$1" ]; }
configured="100: from 192.168.1.0/24 lookup 100 proto static
10.1.0.0/16 via 203.0.113.1 dev wan0 proto static
10.2.0.0/16 via 203.0.113.1 dev wan0 proto static"
until_seen shows "$configured"
same "as configured" "$configured" "$(state)"
reload() {
    for pid in $(ip netns pids "$netns"); do [ "$(cat "/proc/$pid/comm")" != systemd-network ] || kill -HUP "$pid"; done
}
inside ip rule del pref 100
inside ip route del 10.1.0.0/16 table 100
inside ip route replace 10.2.0.0/16 via 203.0.113.66 table 100
reload
sleep 5
same "deleted and replaced, after a reload" "10.2.0.0/16 via 203.0.113.66 dev wan0" "$(state)"
same "what networkd calls wan0" configured "$(sed -n 's/^ADMIN_STATE=//p' "$root13"/run/systemd/netif/links/* | grep -m1 configured)"
touch "$root13/etc/systemd/network/wan0.network"
reload
until_seen shows "$configured"
same "after touch and a reload" "$configured" "$(state)"
