#!/usr/bin/env bash
# The rules by which a gateway with two uplinks keeps a connection on one of them, translated by iptables-translate: they load
# in nft, and do something else. `CONNMARK --set-mark 0x100/0xff00` becomes one that never sets the mark, because `and` binds
# closer than `xor` in nft, and `CONNMARK --restore-mark --mask 0xff00` one that clears the other bits of the packet mark,
# which belong to others. 1.8.11 of Debian 13 translates in the same way.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 \
    libmnl0=1.0.4-3 conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"
export XTABLES_LIBDIR
echo "iptables: $(inside iptables-translate --version)"
echo "nft: $(inside nft --version)"

set="-t mangle -A OUTPUT -p udp -j CONNMARK --set-mark 0x100/0xff00"
restore="-t mangle -A OUTPUT -p udp -j CONNMARK --restore-mark --mask 0xff00"
translated() { inside iptables-translate $1 | sed "s/^nft '\(.*\)'$/\1/"; }
same "the first in nft" "add rule ip mangle OUTPUT ip protocol udp counter ct mark set ct mark xor 0x100 and 0xffff00ff" "$(translated "$set")"
same "the second" "add rule ip mangle OUTPUT ip protocol udp counter meta mark set ct mark and 0xff00" "$(translated "$restore")"

start() { # with the chain of iptables, and a counter for each mark with which a packet could leave
    inside nft flush ruleset
    inside conntrack -F 2>/dev/null
    inside nft 'add table ip mangle; add chain ip mangle OUTPUT { type route hook output priority mangle; };
        add chain ip mangle seen { type filter hook postrouting priority 0; }; add counter ip mangle kept; add counter ip mangle lost;
        add rule ip mangle seen meta mark 0x50105 counter name kept; add rule ip mangle seen meta mark 0x100 counter name lost'
}
packet() { inside python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))'; }
connection() { inside conntrack -L -p udp 2>/dev/null | grep -o 'mark=[0-9]*'; }
packets() { for name in kept lost; do echo "$name $(inside nft list counter ip mangle $name | grep -o 'packets [0-9]*')"; done; }
by_iptables() { inside iptables-nft $1; }
by_nft() { inside nft "$(translated "$1")"; }

for way in by_iptables by_nft; do
    start
    $way "$set"
    packet
    connection >"$scratch/$way"
done
same "the connection's mark with iptables" "mark=256" "$(cat "$scratch/by_iptables")"
same "and with the translation" "mark=0" "$(cat "$scratch/by_nft")"

for way in by_iptables by_nft; do
    start
    inside nft add rule ip mangle OUTPUT meta l4proto udp meta mark set 0x50005 ct mark set 0x100
    $way "$restore"
    packet
    packets >"$scratch/$way"
done
same "packets with the mark 0x50105, as it should be, and with 0x100, with iptables" "kept packets 1
lost packets 0" "$(cat "$scratch/by_iptables")"
same "and with the translation" "kept packets 0
lost packets 1" "$(cat "$scratch/by_nft")"
