#!/usr/bin/env bash
# `ip route get ADDRESS`, the usual question which way packets go, asks for UDP where no protocol is named. With a FIB rule that leads UDP
# over a second uplink (`ipproto udp`, for calls or DNS) it answers that uplink, though TCP and ICMP leave by the first; with `dport 443`
# alone it does too. `ip -6 route get` with the same rules asks for no protocol, and answers the first. For GRE, ESP and SCTP, which
# rules may name, there is no asking at all: both refuse the question.
#
# inet_rtm_getroute() begins with IPPROTO_UDP, and inet6_rtm_getroute() with none.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1 netbase=6.5
echo "$(inside ip -V), $(inside13 ip -V), kernel $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 192.0.2.2/24 dev wan0
inside ip addr add 198.51.100.2/24 dev wan1
inside ip -6 addr add 2001:db8:a::2/64 dev wan0 nodad
inside ip -6 addr add 2001:db8:b::2/64 dev wan1 nodad
for family in -4 -6; do
    gateway=([0]=192.0.2.1 [1]=198.51.100.1)
    if [ $family = -6 ]; then gateway=([0]=2001:db8:a::1 [1]=2001:db8:b::1); fi
    inside ip $family route add default via "${gateway[0]}"
    inside ip $family route add default via "${gateway[1]}" table 7
    inside ip $family rule add pref 100 ipproto udp lookup 7
    inside ip $family rule add pref 101 ipproto gre lookup 7
done

# What the kernel takes for a socket of its own, and what it answers.
leaves() { # ADDRESS
    inside python3 - "$1" <<'P'
import socket
import sys

for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, kind) as sock:
        sock.setblocking(False)
        sock.connect_ex((sys.argv[1], 443))
        print(kind.name, "from", sock.getsockname()[0])
P
}
answers() { # IP ADDRESS [CONDITION...]
    { $1 route get "${@:2}" 2>&1 || echo "exit $?"; } | sed -n 's/.* dev \(wan.\).*/\1/; s/\(wan.\|Error.*\|exit.*\)/\1/p' | paste -sd' '
}

same "the addresses from which sockets send" "SOCK_STREAM from 192.0.2.2
SOCK_DGRAM from 198.51.100.2
SOCK_STREAM from 2001:db8:a::2
SOCK_DGRAM from 2001:db8:b::2" "$(leaves 203.0.113.1; leaves 2001:db8:ff::1)"

for ip in "inside ip" "inside13 ip"; do
    asked() { for conditions in "" "ipproto tcp" "ipproto udp" "dport 443" "ipproto gre"; do
        # shellcheck disable=SC2086 # several words each
        echo "${conditions:-nothing}: $(answers "$ip $1" "$2" $conditions)"
    done; }
    same "the answers of IPv4" "nothing: wan1
ipproto tcp: wan0
ipproto udp: wan1
dport 443: wan1
ipproto gre: Error: Unsupported ip proto. exit 2" "$(asked -4 203.0.113.1)"
    same "those of IPv6" "nothing: wan0
ipproto tcp: wan0
ipproto udp: wan1
dport 443: wan0
ipproto gre: Error: Unsupported ip proto. exit 2" "$(asked -6 2001:db8:ff::1)"
done
wire lan0 host0
inside ip addr add 192.168.1.1/24 dev lan0
inside sysctl -qw net.ipv4.ip_forward=1
same "for a packet from inside, of IPv4" "wan1" "$(answers "inside ip" 203.0.113.1 from 192.168.1.5 iif lan0)"
