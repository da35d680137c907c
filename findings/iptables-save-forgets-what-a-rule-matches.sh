#!/usr/bin/env bash
# One rule of nft's in a table that iptables-nft uses as well, here for the addresses of a set, as a bouncer may add it: iptables-save
# 1.8.9 writes it down without its match, as a rule for every packet, and exits 0. What netfilter-persistent saves and
# loads at the next boot accepts or drops everything.
#
# iptables 1.8.11 of Debian 13 leaves out the whole table in place of it, says so in a comment, and exits 0: the next boot has
# no NAT.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libip4tc2=1.8.9-2 \
    libip6tc2=1.8.9-2 libmnl0=1.0.4-3
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"
export XTABLES_LIBDIR
echo "iptables: $(inside iptables-nft --version)"
saved() { inside iptables-nft-save | grep -v '^#\|^:\|^\*\|^COMMIT'; }

inside iptables-nft -t nat -A POSTROUTING -o wan0 -j MASQUERADE
inside iptables-nft -A FORWARD -i lan0 -o wan0 -j ACCEPT
inside nft insert rule ip nat POSTROUTING ip daddr '{ 10.1.0.0/16, 10.2.0.0/16 }' accept
inside nft insert rule ip filter FORWARD ip saddr '{ 192.0.2.7, 192.0.2.9 }' drop

same "the rules of nft, as iptables saves them" "-A FORWARD -j DROP
-A FORWARD -i lan0 -o wan0 -j ACCEPT
-A POSTROUTING -j ACCEPT
-A POSTROUTING -o wan0 -j MASQUERADE" "$(saved)"
same "exit code" "0" "$(inside iptables-nft-save >/dev/null; echo $?)"
same "on its standard error" "" "$(inside iptables-nft-save 2>&1 >/dev/null)"

inside iptables-nft-save >"$scratch/rules.v4"
inside nft flush ruleset
same "exit code of the load at the next boot" "0" "$(inside iptables-nft-restore <"$scratch/rules.v4"; echo $?)"
same "what nft lists then" "counter packets 0 bytes 0 drop" \
    "$(inside nft list chain ip filter FORWARD | sed -n 's/^[[:space:]]*\(.* drop\)$/\1/p')"
