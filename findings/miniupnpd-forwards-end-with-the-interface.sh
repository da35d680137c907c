#!/usr/bin/env bash
# Hosts ask miniupnpd for ports of the gateway. In nft it matches the uplink by the interface's number (`iif`), though it is given a name: after
# the uplink was made again under its name, as with each PPP session, no forward matches any more, and new ones do. miniupnpd goes on as
# before, its lease file has all of them, and the rules are listed with `iif 30`. A forward works again when its
# host asks once more, which with NAT-PMP is at half of the time that it was given, and with UPnP may be never.
. "$(dirname "$0")/lib.sh"
debian13 miniupnpd-nftables=2.3.9-2+deb13u1 nftables=1.1.3-1
echo "$(inside13 miniupnpd --version 2>&1 | sed -n 1p), $(inside13 nft --version), kernel $(uname -r)"

host="$netns-host" internet="$netns-internet"
trap 'for other in "$host" "$internet"; do ip netns pids "$other" | xargs -r kill; ip netns del "$other"; done; cleanup' EXIT
for other in "$host" "$internet"; do ip netns add "$other"; done
uplink() { # NUMBER
    inside ip link add wan0 index "$1" type veth peer name isp0 netns "$internet"
    inside ip link set wan0 up
    inside ip addr add 203.0.113.2/24 dev wan0
    ip -n "$internet" addr add 203.0.113.1/24 dev isp0
    ip -n "$internet" link set isp0 up
    inside ip route add default via 203.0.113.1
}
uplink 30
inside ip link add lan0 type veth peer name eth0 netns "$host"
inside ip link set lan0 up
inside ip addr add 192.168.1.1/24 dev lan0
ip -n "$host" addr add 192.168.1.5/24 dev eth0
ip -n "$host" link set eth0 up
ip -n "$host" route add default via 192.168.1.1
inside sysctl -qw net.ipv4.ip_forward=1
inside13 nft -f - <<'N'
table inet filter {
    chain forward { type filter hook forward priority filter; policy drop; ct state established accept; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority srcnat; jump postrouting_miniupnpd; oifname "wan0" masquerade; }
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
}
N
cat >"$root13/etc/miniupnpd/miniupnpd.conf" <<'C'
ext_ifname=wan0
ext_allow_private_ipv4=yes
listening_ip=lan0
enable_natpmp=yes
enable_upnp=no
lease_file=/tmp/leases
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 192.168.1.0/24 1024-65535
C
inside13 miniupnpd -d -f /etc/miniupnpd/miniupnpd.conf >"$scratch/log" 2>&1 &
ip netns exec "$host" python3 - <<'P' &
import select
import socket

servers = [socket.create_server(("192.168.1.5", port)) for port in (4000, 4001)]
while True:
    for server in select.select(servers, [], [])[0]:
        server.accept()[0].close()
P
asks() { # PORT INSIDE: for an hour, by NAT-PMP (RFC 6886); prints the answer's code, and what was given
    ip netns exec "$host" python3 - "$@" <<'P'
import socket
import struct
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(2)
    sock.connect(("192.168.1.1", 5351))
    sock.send(struct.pack("!BBHHHI", 0, 2, 0, int(sys.argv[2]), int(sys.argv[1]), 3600))
    _, _, code, _, inside, outside, seconds = struct.unpack("!BBHIHHI", sock.recv(16))
print(f"code {code}: {outside} to {inside} for {seconds} s")
P
}
connects() { for port in 5000 5001; do
    ip netns exec "$internet" python3 - "$port" <<'P'
import socket
import sys

try:
    socket.create_connection(("203.0.113.2", int(sys.argv[1])), 2).close()
    print(sys.argv[1], "connected")
except OSError as failed:
    print(sys.argv[1], type(failed).__name__)
P
done; }
rules() { inside13 nft list chain inet filter prerouting_miniupnpd | sed -n 's/^\t*\(iif [^ ]*\).*\(dport.*\)/\1 \2/p'; }
until_seen asks 5000 4000
connected() { [[ $(connects) = *"5000 connected"* ]]; }
until_seen connected
same "the rules" 'iif "wan0" dport 5000 dnat ip to 192.168.1.5:4000' "$(rules)"

inside ip link del wan0
uplink 31
same "after wan0 was made again, the leases" "TCP:5000:192.168.1.5:4000" "$(cut -d: -f1-4 "$root13/tmp/leases" | sort -u)"
same "a host asks for another port" "code 0: 5001 to 4001 for 3600 s" "$(asks 5001 4001)"
same "the rules" 'iif 30 dport 5000 dnat ip to 192.168.1.5:4000
iif "wan0" dport 5001 dnat ip to 192.168.1.5:4001' "$(rules)"
same "connections" "5000 ConnectionRefusedError
5001 connected" "$(connects)"
same "the host asks for the first port again" "code 0: 5000 to 4000 for 3600 s" "$(asks 5000 4000)"
same "connections" "5000 connected
5001 connected" "$(connects)"
