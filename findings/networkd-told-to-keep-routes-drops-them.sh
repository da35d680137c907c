#!/usr/bin/env bash
# systemd-networkd 252 that is told to leave foreign routes and rules alone (ManageForeignRoutes=no,
# ManageForeignRoutingPolicyRules=no) still removes them at its start: it deletes addresses that it did not make from a link
# that it configures, and when the last IPv4 address of a link is deleted, the kernel drops all IPv4 routes through that link, in
# every table, whoever made them. networkd then adds its own address, and the routes stay away.
# KeepConfiguration=static in the .network file prevents it.
. "$(dirname "$0")/lib.sh"
deb systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2
networkd=$(find "$root" -name systemd-networkd -type f)
"$networkd" --version | head -1
echo "kernel: $(uname -r)"

printf '[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n' >"$scratch/networkd.conf"

run() { # LINE: more in the .network file
    printf '[Match]\nName=wan0\n[Network]\nAddress=203.0.113.2/24\nIPv6AcceptRA=no\n%s\n' "$1" >"$scratch/wan0.network"
    inside ip link del wan0 2>/dev/null || true
    inside ip rule flush
    inside ip rule add pref 32766 lookup main
    inside ip link add wan0 type veth peer name wan1
    inside ip link set wan1 up
    inside ip link set wan0 up
    inside ip addr add 203.0.113.99/24 dev wan0
    inside ip route add default via 203.0.113.1 table 7 proto 222
    inside ip rule add pref 100 from 203.0.113.99 lookup 7 protocol 222
    inside_with_daemons "$networkd" >"$scratch/log" 2>&1 &
    until_seen inside sh -c 'ip addr show wan0 | grep "203.0.113.2/24"'
    until_seen grep -q "wan0: State changed: configuring -> configured\|Enumeration completed" "$scratch/log"
    sleep 1 # for what it might still delete
    end_daemons
}

state() {
    inside ip -4 -o addr show wan0 | awk '{print "address " $4}' | sort
    inside ip rule list pref 100 | sed 's/^/rule /; s/\t/ /'
    inside ip route show table 7 2>/dev/null | sed 's/^/table 7: /; s/ *$//'
}

run ""
same "after its start: the foreign address is deleted, and with it the route in table 7; the rule is still there" \
"address 203.0.113.2/24
rule 100: from 203.0.113.99 lookup 7 proto 222" "$(state)"
run "KeepConfiguration=static"
same "after its start with KeepConfiguration=static" \
"address 203.0.113.2/24
address 203.0.113.99/24
rule 100: from 203.0.113.99 lookup 7 proto 222
table 7: default via 203.0.113.1 dev wan0 proto 222" "$(state)"
