#!/usr/bin/env bash
# Two hosts share an address, as a pair of gateways does, and a rule for the MAC address of each lets its ARP in. `arptables -D ...
# --source-mac` with the MAC address of one deletes the first rule for that IP address, which is that of the other, and exits 0: neither
# MAC addresses nor the operation count when rules are compared. A rule for replies is deleted as that for requests, and a
# rule that has no MAC address as that for one.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3
debian13 iptables=1.8.11-2
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"

one=(-s 192.0.2.1 --source-mac 02:00:00:00:00:01) other=(-s 192.0.2.1 --source-mac 02:00:00:00:00:02)
for tables in "inside env XTABLES_LIBDIR=$XTABLES_LIBDIR arptables-nft" "inside13 arptables-nft"; do
    echo "$($tables --version), kernel $(uname -r)"
    left() { # CONDITION... -- CONDITION...: two rules, and what is left when the second is deleted
        local first=() second=()
        while [ "$1" != -- ]; do first+=("$1"); shift; done
        second=("${@:2}")
        $tables -F INPUT
        $tables -A INPUT "${first[@]}" -j ACCEPT
        $tables -A INPUT "${second[@]}" -j ACCEPT
        $tables -D INPUT "${second[@]}" -j ACCEPT
        $tables -L INPUT -n | sed -n 's/^-j ACCEPT *//p'
    }
    same "of two MAC addresses, when the second is deleted" "-s 192.0.2.1 --src-mac 02:00:00:00:00:02" "$(left "${one[@]}" -- "${other[@]}")"
    same "of none and one" "-s 192.0.2.1 --src-mac 02:00:00:00:00:02" "$(left -s 192.0.2.1 -- "${other[@]}")"
    same "of requests and replies" "-s 192.0.2.1 --opcode 2" "$(left -s 192.0.2.1 --opcode 1 -- -s 192.0.2.1 --opcode 2)"
    same "of two IP addresses" "-s 192.0.2.1" "$(left -s 192.0.2.1 -- -s 192.0.2.2)"
done
