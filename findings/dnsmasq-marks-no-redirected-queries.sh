#!/usr/bin/env bash
# `--conntrack` of dnsmasq gives its own queries the connection mark of the client's, so that policy routing sends both over the same uplink.
# It asks for the connection by the addresses that it sees itself: of a query that nft redirected to it, and of one in a conntrack zone, there
# is none of these. Such queries leave without a mark, by the uplink of everybody; of all that dnsmasq logs the first failure alone.
. "$(dirname "$0")/lib.sh"
debian13 dnsmasq-base=2.91-1+deb13u2 nftables=1.1.3-1
inside13 dnsmasq --version | sed -n 1p
echo "kernel: $(uname -r)"
echo root:x:0:0::/: >"$root13/etc/passwd"
echo root:x:0: >"$root13/etc/group"
client="$netns-client"
trap 'cleanup; ip netns del "$client"' EXIT
ip netns add "$client"

inside ip link add lan0 type veth peer name client0 netns "$client"
inside ip addr add 192.168.1.1/24 dev lan0
inside ip link set lan0 up
ip -n "$client" addr add 192.168.1.10/24 dev client0
ip -n "$client" link set client0 up
ip -n "$client" route add default via 192.168.1.1
cat >"$root13/tmp/rules" <<'N'
table ip gateway {
    chain early { type filter hook prerouting priority raw; udp sport 7000 ct zone set 5; }
    chain marks { type filter hook prerouting priority mangle; iifname "lan0" ct mark set 7; }
    chain redirects { type nat hook prerouting priority dstnat; ip daddr 198.51.100.53 udp dport 53 redirect; }
}
N
inside13 nft -f /tmp/rules
cat >"$scratch/upstream.py" <<'P'
import socket
import struct

MARK_OF_PACKET = 75  # SO_RCVMARK, from Linux 5.19
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
    upstream.setsockopt(socket.SOL_SOCKET, MARK_OF_PACKET, 1)
    upstream.bind(("127.0.0.1", 5300))
    while True:
        query, ancillary, _, client = upstream.recvmsg(600, 100)
        mark = struct.unpack("I", ancillary[0][2])[0] if ancillary else 0
        name = query[13 : 13 + query[12]].decode()
        print(f"{name}: mark {mark}", flush=True)
        upstream.sendto(query[:2] + b"\x81\x83" + query[4:], client)
P
inside python3 "$scratch/upstream.py" >"$scratch/queries" &
inside13 dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --server=127.0.0.1#5300 --conntrack --cache-size=0 --user=root \
    --log-facility=- >"$scratch/log" 2>&1 &
asks() { # NAME SERVER PORT: until it has reached the server of dnsmasq
    ip netns exec "$client" python3 - "$@" <<'P'
import socket
import sys

name, server, port = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind(("", int(port)))
    client.connect((server, 53))
    client.settimeout(1)
    client.send(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + bytes([len(name)]) + name.encode() + b"\4test\0\0\1\0\1")
    client.recv(600)
P
}
until_seen asks direct 192.168.1.1 0
until_seen asks redirected 198.51.100.53 0
until_seen asks again 198.51.100.53 0
until_seen asks zone 192.168.1.1 7000
same "the marks of dnsmasq's queries" "again: mark 0
direct: mark 7
redirected: mark 0
zone: mark 0" "$(sort -u "$scratch/queries")"
same "what it logs" "1 Conntrack connection mark retrieval failed: No such file or directory" \
    "$(sed -n 's/^.*dnsmasq.*: \(Conntrack\)/\1/p' "$scratch/log" | uniq -c | sed 's/^ *//')"
