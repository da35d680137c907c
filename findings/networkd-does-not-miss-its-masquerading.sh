#!/usr/bin/env bash
# `IPMasquerade=ipv4` of systemd-networkd is a table of nft that networkd does not look after: `nft flush ruleset`, with which
# nftables.service begins each reload, takes it away, and what inside hosts send leaves with their own addresses, for forwarding
# stays on. When the link of one LAN goes down and up, networkd makes the table again with that LAN alone: the others stay
# untranslated until networkd restarts. networkd 257 of Debian 13 loses the table the same way.
. "$(dirname "$0")/lib.sh"
deb systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2
networkd=$(find "$root" -name systemd-networkd -type f)
"$networkd" --version | head -1
echo "kernel: $(uname -r)"

for link in wan0 lan1 lan2; do
    inside ip link add $link type veth peer name "$link-end"
    inside ip link set "$link-end" up
    printf '[Match]\nName=%s\n[Network]\nIPv6AcceptRA=no\n' $link >"$scratch/$link.network"
done
printf 'Address=203.0.113.2/24\nGateway=203.0.113.1\n' >>"$scratch/wan0.network"
for number in 1 2; do
    printf 'Address=192.168.%s.1/24\nIPMasquerade=ipv4\n' $number >>"$scratch/lan$number.network"
done
inside_with_daemons "$networkd" >"$scratch/log" 2>&1 &

sources() { # as which the provider sees packets from either LAN
    inside ip neigh replace 203.0.113.1 lladdr 02:00:00:00:00:01 dev wan0
    inside python3 - <<'P'
import socket

with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800)) as provider:
    provider.bind(("wan0-end", 0x800))
    provider.settimeout(5)
    for lan in (1, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((f"192.168.{lan}.1", 0))
            client.sendto(b"", ("198.51.100.80", 7000 + lan))
        while True:
            packet = provider.recv(100)
            if packet[9] == 17 and packet[22:24] == (7000 + lan).to_bytes(2):
                break
        print(f"LAN {lan}: as", socket.inet_ntoa(packet[12:16]))
P
    echo "forwarding: $(inside sysctl -n net.ipv4.ip_forward)"
}
sees() { [ "$(sources)" = "$1" ]; }
translated=$'LAN 1: as 203.0.113.2\nLAN 2: as 203.0.113.2\nforwarding: 1'
until_seen sees "$translated"
same "what the provider sees" "$translated" "$(sources)"
inside nft flush ruleset
sleep 3 # for what networkd might do
same "after nft flush ruleset" $'LAN 1: as 192.168.1.1\nLAN 2: as 192.168.2.1\nforwarding: 1' "$(sources)"
inside ip link set lan1 down
addressless() { ! inside ip -4 addr show dev lan1 | grep -q inet; }
until_seen addressless
inside ip link set lan1 up
until_seen sees $'LAN 1: as 203.0.113.2\nLAN 2: as 192.168.2.1\nforwarding: 1'
sleep 3
same "after lan1 went down and up" $'LAN 1: as 203.0.113.2\nLAN 2: as 192.168.2.1\nforwarding: 1' "$(sources)"
