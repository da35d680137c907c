#!/usr/bin/env bash
# `nft -o` promises to merge rules and keep what they mean. `ct status dnat accept` and `ct status snat accept`, as in a
# firewall beside NAT, become `ct status { dnat, snat } accept`: a rule matches a connection that has the bit among others, and
# a set only one that has no other bit, which no translated connection is. So the merged rule matches nothing, and nft exits 0.
# The same happens to `tcp flags`, and it is so in 1.0.6, 1.1.3 and 1.1.7.
#
# 1.0.6 also merges marks with different masks, and keeps the first mask only: `0x100` then lies outside of it.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
debian13 nftables=1.1.3-1
echo "nft: $(inside nft --version), $(inside13 nft --version)"

ruleset() { # RULE RULE
    cat >"$root13/tmp/ruleset.nft" <<N
table inet t {
    chain output {
        type nat hook output priority -100;
        udp dport 4001 dnat ip to 127.0.0.1:4002
    }
    chain marks {
        type filter hook output priority 0;
        udp dport 4002 meta mark set 0x100
    }
    chain input {
        type filter hook input priority 0; policy drop;
        $1
        $2
    }
}
N
}
arrived() { # COMMAND...: loads the ruleset; does a packet to the translated port arrive?
    inside nft flush ruleset
    "$@" >/dev/null 2>&1 || return
    inside python3 - <<'P'
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    server.bind(("127.0.0.1", 4002))
    server.settimeout(1)
    client.sendto(b"ordinary", ("127.0.0.1", 4001))
    try:
        server.recv(100)
        print("it arrives")
    except TimeoutError:
        print("it is dropped")
P
}
input() { inside nft list chain inet t input | sed -n 's/^\t\t\(.*accept\)$/\1/p'; }

ruleset "ct status dnat accept" "ct status snat accept"
same "a translated packet" "it arrives" "$(arrived inside nft -f "$root13/tmp/ruleset.nft")"
for load in "inside nft -o -f $root13/tmp/ruleset.nft" "inside13 nft -o -f /tmp/ruleset.nft"; do
    same "the same with the option -o" "it is dropped" "$(arrived $load)"
    same "its rules" "ct status { snat, dnat } accept" "$(input)"
done
ruleset "meta mark & 0xff == 1 accept" "meta mark & 0xff00 == 0x100 accept"
same "a packet with mark 0x100" "it arrives" "$(arrived inside nft -f "$root13/tmp/ruleset.nft")"
same "with the option -o of 1.0.6" "it is dropped" "$(arrived inside nft -o -f "$root13/tmp/ruleset.nft")"
same "its rules" "meta mark & 0x000000ff == { 0x00000001, 0x00000100 } accept" "$(input)"
same "with the option -o of 1.1.3" "it arrives" "$(arrived inside13 nft -o -f /tmp/ruleset.nft)"
