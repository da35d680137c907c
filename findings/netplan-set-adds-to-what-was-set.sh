#!/usr/bin/env bash
# `netplan set` puts a single value in the place of the old one, and adds a list to the old list: to set the address, the default route
# or the table of a rule again leaves the old one in force beside it, `netplan set` exits 0, and networkd is told both. So is the second
# of two rules of one priority, which is never asked. Only to set `null` first takes the old list away.
. "$(dirname "$0")/lib.sh"
debian13 netplan.io=1.1.2-7
mkdir -p "$root13/tmp/np/etc/netplan"
set_to() { inside13 netplan set --root-dir /tmp/np "ethernets.wan0.$1" 2>/dev/null && echo "$1: exit code 0"; }

same "set, and set again" "mtu=1500: exit code 0
mtu=1400: exit code 0
addresses=[203.0.113.2/24]: exit code 0
addresses=[203.0.113.9/24]: exit code 0
routing-policy=[{from: 192.168.1.0/24, priority: 5, table: 100}]: exit code 0
routing-policy=[{from: 192.168.1.0/24, priority: 5, table: 200}]: exit code 0
routes=[{to: default, via: 203.0.113.1}]: exit code 0
routes=[{to: default, via: 203.0.113.254}]: exit code 0" "$(
    set_to mtu=1500
    set_to mtu=1400
    set_to 'addresses=[203.0.113.2/24]'
    set_to 'addresses=[203.0.113.9/24]'
    set_to 'routing-policy=[{from: 192.168.1.0/24, priority: 5, table: 100}]'
    set_to 'routing-policy=[{from: 192.168.1.0/24, priority: 5, table: 200}]'
    set_to 'routes=[{to: default, via: 203.0.113.1}]'
    set_to 'routes=[{to: default, via: 203.0.113.254}]'
)"
generated() { # what networkd is told, one section a line
    inside13 /usr/libexec/netplan/generate --root-dir /tmp/np 2>/dev/null
    awk '/^\[/ {if (s) print s; s = $0; next} NF {s = s " " $0} END {print s}' "$root13/tmp/np/run/systemd/network/10-netplan-wan0.network"
}
same "what networkd is told" "[Match] Name=wan0
[Link] MTUBytes=1400
[Network] LinkLocalAddressing=ipv6 Address=203.0.113.2/24 Address=203.0.113.9/24
[Route] Destination=0.0.0.0/0 Gateway=203.0.113.1
[Route] Destination=0.0.0.0/0 Gateway=203.0.113.254
[RoutingPolicyRule] From=192.168.1.0/24 Table=100 Priority=5
[RoutingPolicyRule] From=192.168.1.0/24 Table=200 Priority=5" "$(generated)"
set_to addresses=null >/dev/null
set_to 'addresses=[203.0.113.9/24]' >/dev/null
same "addresses, set to null and then again" "[Network] LinkLocalAddressing=ipv6 Address=203.0.113.9/24" "$(generated | grep Network)"
