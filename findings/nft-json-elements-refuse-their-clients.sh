#!/usr/bin/env bash
# The JSON of a set lists what each element counts or limits, and nft that loads it makes elements without, and exits 0. A
# rule that adds clients to a set with `ct count over 2` then takes each element as one that is over: who had a connection
# before gets none any more. Counters, limits and quotas of elements are lost likewise. nft 1.1.7 does the same.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libjansson4=2.14-2
debian13 nftables=1.1.3-1
echo "nft: $(inside nft --version), $(inside13 nft --version)"

inside python3 -c '
import socket
server = socket.create_server(("0.0.0.0", 7001))
while True:
    server.accept()[0].close()' &
until_seen inside python3 -c 'import socket; socket.create_connection(("127.0.0.1", 7001))'
connected() { # FROM
    inside python3 -c '
import socket, sys
try:
    socket.create_connection(("127.0.0.1", 7001), source_address=(sys.argv[1], 0))
    print("connected")
except ConnectionRefusedError:
    print("refused")' "$1"
}
elements() { "$with" nft list set inet t "$1" | sed -n 's/.*elements = { \(.*\) }/\1/p'; }

for with in inside inside13; do
    inside nft flush ruleset
    inside nft -f - <<'N'
table inet t {
    set clients {
        type ipv4_addr
        flags dynamic
    }
    set counted {
        type ipv4_addr
        counter
        elements = { 192.0.2.7 counter packets 5 bytes 500 }
    }
    chain input {
        type filter hook input priority 0
        tcp dport 7001 ct state new add @clients { ip saddr ct count over 2 } reject with tcp reset
    }
}
N
    same "a client" "connected" "$(connected 127.0.0.2)"
    same "its element" "127.0.0.2 ct count over 2" "$(elements clients)"
    "$with" nft -j list ruleset >"$scratch/json"
    same "the JSON has its count" '"ct count": {"val": 2, "inv": true}' "$(grep -o '"ct count": {[^}]*}' "$scratch/json" | head -1)"
    inside nft flush ruleset
    cp "$scratch/json" "$root13/tmp/"
    same "exit code of loading it" "0" "$("$with" nft -j -f "$([ "$with" = inside ] && echo "$scratch/json" || echo /tmp/json)" >/dev/null; echo $?)"
    same "the element" "127.0.0.2" "$(elements clients)"
    same "the client" "refused" "$(connected 127.0.0.2)"
    same "another client" "connected" "$(connected 127.0.0.3)"
    same "the counted element" "192.0.2.7 counter packets 0 bytes 0" "$(elements counted)"
done
