#!/usr/bin/env bash
# Behind conntrack UDP-Lite does not work: with nf_conntrack_checksum at 1, its default, each packet whose checksum is right
# has the state `invalid`, so a firewall that drops such packets drops all of UDP-Lite, and NAT leaves them as they are.
# With 0 the first packet is `new`.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
echo "kernel: $(uname -r)"

ip link add "f$$" netns "$netns" type veth peer name peer
unshare -n sleep 60 &
peer=$!
trap 'kill "$peer" 2>/dev/null || true; cleanup' EXIT
sleep 0.3
ip link set peer netns "$peer"
there() { nsenter -t "$peer" -n "$@"; }
inside ip link set "f$$" name wire
inside ip address add 192.0.2.1/24 dev wire
inside ip link set wire up
there ip address add 192.0.2.2/24 dev peer
there ip link set peer up

inside nft -f - <<'N'
table inet t {
    counter valid { }
    counter invalid { }
    chain input {
        type filter hook input priority 0;
        meta l4proto { udp, udplite } ct state invalid counter name invalid
        meta l4proto { udp, udplite } ct state new counter name valid
    }
}
N
sent() { # PROTOCOL: what three packets of it are to conntrack
    inside nft reset counters >/dev/null
    there python3 - "$1" <<'P'
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, int(sys.argv[1])) as sender:
    for port in (4001, 4002, 4003):
        sender.sendto(b"ordinary", ("192.0.2.1", port))
P
    sleep 0.5
    for name in valid invalid; do
        echo "$name $(inside nft list counter inet t $name | grep -o 'packets [0-9]*')"
    done
}
checked() { inside sysctl -qw net.netfilter.nf_conntrack_checksum="$1"; }

checked 1
same "UDP is valid" $'valid packets 3\ninvalid packets 0' "$(sent 17)"
same "UDP-Lite is invalid" $'valid packets 0\ninvalid packets 3' "$(sent 136)"
checked 0
same "without the check UDP-Lite is valid" $'valid packets 3\ninvalid packets 0' "$(sent 136)"
