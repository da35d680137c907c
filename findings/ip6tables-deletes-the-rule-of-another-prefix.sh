#!/usr/bin/env bash
# `ip6tables -D FORWARD -s fd00::/64 -j ACCEPT` deletes the rule for fd00::/8 if that one comes first, and exits 0: prefixes with the
# same address are one to it, whatever their length. So `-C` finds a rule for one host where there is one for its network, and a
# script that says `-C ... || -A ...` never adds its own. It is so with the nft variant, the default of Debian; neither
# iptables nor ip6tables-legacy, which are there as well, do so.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 libip6tc2=1.8.9-2 libip4tc2=1.8.9-2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3
debian13 iptables=1.8.11-2
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"

try() { # NETWORK OTHER COMMAND...: ip6tables
    "${@:3}" -F FORWARD
    "${@:3}" -A FORWARD -s "$1" -j ACCEPT
    if "${@:3}" -C FORWARD -s "$2" -j ACCEPT 2>/dev/null; then echo "found: $2"; else echo "not found: $2"; fi
    "${@:3}" -A FORWARD -s "$2" -j ACCEPT
    "${@:3}" -D FORWARD -s "$2" -j ACCEPT
    "${@:3}" -S FORWARD | sed -n 's/^-A FORWARD -s \(.*\) -j ACCEPT/left: \1/p'
}
for tables in "inside env XTABLES_LIBDIR=$XTABLES_LIBDIR ip6tables-nft" "inside13 ip6tables-nft"; do
    echo "$($tables --version), kernel $(uname -r)"
    same "with fd00::/8 in the chain, fd00::/64 added and deleted" "found: fd00::/64
left: fd00::/64" "$(try fd00::/8 fd00::/64 $tables)"
    same "with fe80::/64 in the chain, fe80::/10 added and deleted" "found: fe80::/10
left: fe80::/10" "$(try fe80::/64 fe80::/10 $tables)"
    same "of addresses that differ" "not found: fd01::/64
left: fd00::/8" "$(try fd00::/8 fd01::/64 $tables)"
done
for tables in "inside13 ip6tables-legacy" "inside13 iptables-nft"; do
    echo "$($tables --version), kernel $(uname -r)"
    case $tables in
    *ip6*) same "by the legacy variant" "not found: fd00::/64
left: fd00::/8" "$(try fd00::/8 fd00::/64 $tables)" ;;
    *) same "for IPv4" "not found: 10.0.0.0/16
left: 10.0.0.0/8" "$(try 10.0.0.0/8 10.0.0.0/16 $tables)" ;;
    esac
done
