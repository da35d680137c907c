#!/usr/bin/env bash
# A rule bans who asks for a port (`add @banned { ip saddr timeout 2s }`), and `nft monitor` is to tell another machine of the set. It tells of
# no element that a rule adds, and of none that expires; only of what nft adds and deletes. The set's listing has all of them. Who
# follows the set by `nft monitor` hears neither who was banned nor whose ban has ended.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
debian13 nftables=1.1.3-1
echo "nft: $(inside nft --version), $(inside13 nft --version), kernel $(uname -r)"

inside nft 'table inet t { set banned { type ipv4_addr; flags dynamic, timeout; }; chain c { type filter hook input priority 0; udp dport 9 add @banned { ip saddr timeout 2s }; }; }'
elements() { inside nft list set inet t banned | grep -o '127\.0\.0\.[0-9]*' | sort | paste -sd' '; }
are() { [ "$(elements)" = "$1" ]; }
tells() { sed -n 's/ expires [0-9a-z]*//; /element/p' "$scratch/$1"; }
: >"$scratch/12"
: >"$scratch/13"
inside nft monitor >"$scratch/12" 2>&1 &
inside13 nft monitor >"$scratch/13" 2>&1 &
listening() { inside nft "add chain inet t c$RANDOM"; grep -q . "$scratch/12" && grep -q . "$scratch/13"; }
until_seen listening

inside python3 - <<'P'
import socket

for address in ("127.0.0.2", "127.0.0.3"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        sock.sendto(b"x", ("127.0.0.1", 9))
P
same "the set after packets from two addresses" "127.0.0.2 127.0.0.3" "$(elements)"
inside nft 'add element inet t banned { 127.0.0.4 timeout 2s }'
inside nft 'add element inet t banned { 127.0.0.5 timeout 1h }'
until_seen are "127.0.0.5"
inside nft 'delete element inet t banned { 127.0.0.5 }'
for version in 12 13; do
    until_seen grep -q delete "$scratch/$version"
    same "what the monitor of Debian $version told" "add element inet t banned { 127.0.0.4 timeout 2s }
add element inet t banned { 127.0.0.5 timeout 1h }
delete element inet t banned { 127.0.0.5 timeout 1h }" "$(tells "$version")"
done
