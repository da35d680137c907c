#!/usr/bin/env bash
# `auto` of ndppd finds the interface behind which to look for a host in /proc/net/ipv6_route, which has the routes of all tables, and before
# those of `main` the kernel's own `default dev lo` of every other one. As soon as policy routing uses another table, for whatever
# prefix, ndppd looks for every host on `lo`, finds none, and the provider gets no answer: IPv6 ends for the networks behind the gateway. With
# `iface lan0` in place of `auto` it works. (/proc/net/route of IPv4 has `main` alone.)
. "$(dirname "$0")/lib.sh"
deb ndppd=0.2.5-6
echo "kernel: $(uname -r)"

for name in wan lan other; do wire "${name}0" "${name}1"; done
inside ip -6 addr add 2001:db8:ffff::1/64 dev wan0 nodad
inside ip -6 route add 2001:db8:1::/64 dev lan0
cat >"$scratch/solicit.py" <<'P'
import socket
import struct

target = socket.inet_pton(socket.AF_INET6, "2001:db8:1::5")
source = socket.inet_pton(socket.AF_INET6, "fe80::99")
group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD)) as wire:
    wire.bind(("wan1", 0))
    mac = wire.getsockname()[4]
    message = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\1\1" + mac
    pseudo = source + group + struct.pack("!II", len(message), 58) + message
    checksum = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while checksum >> 16:
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
    message = message[:2] + struct.pack("!H", 0xFFFF & ~checksum) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + group
    wire.send(b"\x33\x33" + group[12:] + mac + b"\x86\xdd" + header + message)
P
asked() { # HOW: on which interface ndppd looks for the host that the provider asks for
    printf 'proxy wan0 {\n rule 2001:db8:1::/64 {\n  %s\n }\n}\n' "$1" >"$scratch/ndppd.conf"
    inside stdbuf -oL -eL ndppd -vvv -c "$scratch/ndppd.conf" >"$scratch/log" 2>&1 &
    looks_for() {
        inside python3 "$scratch/solicit.py"
        grep -q 'write_solicit() taddr=2001:db8:1::5' "$scratch/log"
    }
    until_seen looks_for
    sed -n 's/^(debug)  - //p' "$scratch/log" | sort -u
    end_daemons
}
same "looks for the host on" lan0 "$(asked auto)"
inside ip -6 route add 2001:db8:2::/64 dev other0 table 100
same "with a route of another network in table 100" lo "$(asked auto)"
same "with iface lan0" lan0 "$(asked 'iface lan0')"
