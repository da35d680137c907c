#!/usr/bin/env bash
# In the table `broute` of ebtables DROP means "route this packet in place of bridging it". ebtables-translate makes `drop` of it, which drops the
# packet. And `redirect`, which hands bridged packets to the bridge's own host, as a transparent proxy needs it, becomes a rule without the
# change of the MAC address: the bridge goes on to forward them. Both translations exit 0. ebtables of iptables 1.8.11 does it right itself.
. "$(dirname "$0")/lib.sh"
debian13 iptables=1.8.11-2 nftables=1.1.3-1
inside13 ebtables-nft --version
echo "kernel: $(uname -r)"
hosts="$netns-hosts"
trap 'cleanup; ip netns del "$hosts"' EXIT
ip netns add "$hosts"

translated() { # ARGUMENT...
    inside13 ebtables-translate "$@" | sed "s/^nft '//; s/'$//"
    echo "exit code ${PIPESTATUS[0]}"
}
same "to be routed" $'add rule bridge broute BROUTING iifname "port0" ether type 0x800 counter drop\nexit code 0' \
    "$(translated -t broute -A BROUTING -i port0 -p IPv4 -j DROP)"
redirect=(-t nat -A PREROUTING -i port0 -p IPv4 -j redirect)
same "to be redirected" $'add rule bridge nat PREROUTING iifname "port0" ether type 0x800 counter meta pkttype set host accept\nexit code 0' \
    "$(translated "${redirect[@]}")"

inside ip link add br0 type bridge
inside sysctl -qw net.bridge.bridge-nf-call-iptables=0 # the packet has no IP header
inside ip link set br0 up
for number in 0 1; do
    inside ip link add "port$number" type veth peer name "host$number" netns "$hosts"
    inside ip link set "port$number" master br0 up
    ip -n "$hosts" link set "host$number" up
done
receivers() { # who gets a packet of host0 for the MAC address of host1
    python3 - "$netns" "$hosts" <<'P'
import ctypes
import socket
import sys

def packets(namespace, interface):
    with open(f"/run/netns/{namespace}") as file:
        ctypes.CDLL(None).setns(file.fileno(), 0)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
    wire.bind((interface, 0x800))
    wire.settimeout(1)
    return wire

bridge, host0, host1 = packets(sys.argv[1], "br0"), packets(sys.argv[2], "host0"), packets(sys.argv[2], "host1")
host1.send(host0.getsockname()[4] + host1.getsockname()[4] + b"\x88\xb5".ljust(60))  # for the bridge to learn
host0.send(host1.getsockname()[4] + host0.getsockname()[4] + b"\x08\0" + b"finding".ljust(50))
for name, wire in (("the bridge", bridge), ("host1", host1)):
    try:
        while b"finding" not in wire.recv(100):
            pass
        print(name)
    except TimeoutError:
        pass
P
}
learned() { [ "$(receivers)" = host1 ]; }
until_seen learned
same "without a rule" host1 "$(receivers)"
inside13 ebtables-nft "${redirect[@]}"
same "with the rule of ebtables" "the bridge" "$(receivers)"
inside13 nft delete table bridge nat
inside13 nft "add table bridge nat; add chain bridge nat PREROUTING { type filter hook prerouting priority dstnat; }"
inside13 nft "$(translated "${redirect[@]}" | sed -n 1p)"
same "with its translation" host1 "$(receivers)"
