#!/usr/bin/env bash
# keepalived watches its `virtual_routes` and `virtual_rules`: where one is deleted, the master steps down and sets all up
# again. Where another program replaces the route (`ip route replace`, as DHCP clients and VPNs do), keepalived sees nothing: it
# stays master while packets go to another gateway, and leaves that route behind when it ends.
. "$(dirname "$0")/lib.sh"
deb keepalived=1:2.2.7-1+b2 libnl-3-200=3.7.0-0.2+b1 libnl-genl-3-200=3.7.0-0.2+b1 libsnmp40=5.9.3+dfsg-2+deb12u1 \
    libpci3=1:3.9.0-4 libwrap0=7.6.q-32
{ inside keepalived -v 2>&1 || true; } | sed -n 's/^\(Keepalived v[0-9.]*\).*/\1/p'
echo "kernel: $(uname -r)"

wire wan0 isp0
inside ip addr add 203.0.113.2/24 dev wan0
cat >"$scratch/keepalived.conf" <<'C'
vrrp_instance gateway {
    state MASTER
    interface wan0
    virtual_router_id 7
    priority 200
    advert_int 1
    virtual_ipaddress {
        203.0.113.9/24
    }
    virtual_routes {
        0.0.0.0/0 via 203.0.113.1 dev wan0 table 7
    }
    virtual_rules {
        from 192.168.1.0/24 table 7 priority 100
    }
}
C
inside keepalived -n -l -f "$scratch/keepalived.conf" -p "$scratch/pid" -r "$scratch/vrrp.pid" >"$scratch/log" 2>&1 &
state() { # how often it became master, and what there is
    echo "became master: $(grep -c 'Entering MASTER STATE' "$scratch/log")"
    inside ip -br addr show wan0 | grep -o '203.0.113.9/24' || true
    inside ip rule list pref 100 | sed 's/\t/ /'
    inside ip route list table 7 2>/dev/null | sed 's/ *$//'
}
shows() { [ "$(state)" = "$1" ]; }
master() { # TIMES GATEWAY
    echo "became master: $1
203.0.113.9/24
100: from 192.168.1.0/24 lookup 7 proto keepalived
default via $2"
}
until_seen shows "$(master 1 "203.0.113.1 dev wan0 proto keepalived")"
inside ip rule del pref 100
until_seen shows "$(master 2 "203.0.113.1 dev wan0 proto keepalived")"
same "after its rule was deleted" "$(master 2 "203.0.113.1 dev wan0 proto keepalived")" "$(state)"
inside ip route del default table 7
until_seen shows "$(master 3 "203.0.113.1 dev wan0 proto keepalived")"
same "after its route was deleted" "$(master 3 "203.0.113.1 dev wan0 proto keepalived")" "$(state)"
inside ip route replace default via 203.0.113.66 table 7
sleep 6 # of advertisements, and twice what it took before
same "after its route was replaced" "$(master 3 "203.0.113.66 dev wan0")" "$(state)"
inside kill "$(cat "$scratch/pid")"
until_seen shows $'became master: 3\ndefault via 203.0.113.66 dev wan0'
same "after it has ended" $'became master: 3\ndefault via 203.0.113.66 dev wan0' "$(state)"
