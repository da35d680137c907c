#!/usr/bin/env bash
# `conntrack -F -f ipv6`, for instance after the provider has changed the IPv6 prefix, empties the table of IPv4 as well, and exits
# 0: connections through NAT end, because their translations are forgotten. `conntrack -D -f ipv6` deletes what it says. With 1.4.9 it
# is the same.
#
# The kernel looks at the family of a flush only if the message bears version 1 of its header, and the tool sends 0.
. "$(dirname "$0")/lib.sh"
deb conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3
debian13 conntrack=1:1.4.8-2
echo "conntrack: $(inside conntrack --version), $(inside13 conntrack --version)"
echo "kernel: $(uname -r)"

entries() { echo "IPv4 $(inside conntrack -L -f ipv4 2>/dev/null | wc -l), IPv6 $(inside conntrack -L -f ipv6 2>/dev/null | wc -l)"; }
fresh() {
    inside conntrack -F 2>/dev/null
    inside conntrack -I -p tcp -s 192.168.1.10 -d 192.0.2.80 --sport 40000 --dport 443 -r 192.0.2.80 -n 203.0.113.2 \
        --reply-port-src 443 --reply-port-dst 2000 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 300 2>/dev/null
    inside conntrack -I -p tcp -s 2001:db8:1::10 -d 2001:db8:2::80 --sport 40000 --dport 443 \
        --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 300 2>/dev/null
}

fresh
same "connections" "IPv4 1, IPv6 1" "$(entries)"
same "exit code of conntrack -F -f ipv6" "0" "$(inside conntrack -F -f ipv6 2>/dev/null; echo $?)"
same "what it leaves" "IPv4 0, IPv6 0" "$(entries)"
fresh
inside conntrack -D -f ipv6 >/dev/null 2>&1
same "what conntrack -D -f ipv6 leaves" "IPv4 1, IPv6 0" "$(entries)"
fresh
inside13 conntrack -F -f ipv6 2>/dev/null
same "and conntrack -F -f ipv6 of Debian 13" "IPv4 0, IPv6 0" "$(entries)"
