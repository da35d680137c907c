#!/usr/bin/env bash
# arptables-save writes a rule for the MAC addresses of one vendor (a mask of whole bytes, ff:ff:ff:00:00:00) as one for every
# ARP packet, and so does `arptables -L`. It works until it is restored, at the next boot: then everybody's ARP is dropped. A
# mask in the middle of the bytes is kept; ebtables of the same package keeps both. The exit code is 0. 1.8.11 of Debian 13 does
# the same.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 nftables=1.0.6-2+deb12u2 \
    libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2
XTABLES_LIBDIR=$(dirname "$(find "$root" -name libebt_among.so)")
export XTABLES_LIBDIR
inside arptables-nft --version
echo "kernel: $(uname -r)"

loaded() { inside nft list chain "$1" filter "$2" | sed -n 's/counter packets 0 bytes 0 //; s/^\t\t\(.*\) drop/\1/p'; }
saved() { sed -n '/^-A/p' "$scratch/$1"; }

for mask in ff:ff:ff:00:00:00 ff:ff:fc:00:00:00; do
    inside arptables-nft -A INPUT --source-mac 00:11:20:00:00:00/$mask -j DROP
    inside ebtables-nft -A FORWARD -s 00:11:20:00:00:00/$mask -j DROP
done
same "rules for ARP" \
"arp htype 1 arp hlen 6 arp plen 4 arp saddr ether 00:11:20:00:00:00/24
arp htype 1 arp hlen 6 arp plen 4 arp saddr ether & ff:ff:fc:00:00:00 == 00:11:20:00:00:00" "$(loaded arp INPUT)"
inside arptables-nft-save >"$scratch/arp"
inside ebtables-nft-save >"$scratch/bridge"
same "saved" "-A INPUT -j DROP
-A INPUT -j DROP --src-mac 00:11:20:00:00:00/ff:ff:fc:00:00:00" "$(saved arp)"
same "saved by ebtables" "-A FORWARD -s 00:11:20:00:00:00/ff:ff:ff:00:00:00 -j DROP
-A FORWARD -s 00:11:20:00:00:00/ff:ff:fc:00:00:00 -j DROP" "$(saved bridge)"
inside arptables-nft -F
inside arptables-nft-restore <"$scratch/arp"
same "restored" "arp htype 1 arp hlen 6 arp plen 4
arp htype 1 arp hlen 6 arp plen 4 arp saddr ether & ff:ff:fc:00:00:00 == 00:11:20:00:00:00" "$(loaded arp INPUT)"
