#!/usr/bin/env bash
# `ct count over 2` lets a client have two connections, until the ruleset is saved and loaded again, as nftables.service does: the
# counting begins at none, those that are open are not found in conntrack, and the client may have two more after each load. It is the
# same for a rule and for the elements of a set, which the listing contains.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
echo "nft: $(inside nft --version)"
echo "kernel: $(uname -r)"

inside nft -f - <<'N'
table inet t {
    set clients {
        type ipv4_addr
        flags dynamic
        size 1000
    }
    chain input {
        type filter hook input priority 0
        tcp dport 7001 ct state new ct count over 2 reject with tcp reset
        tcp dport 7002 ct state new add @clients { ip saddr ct count over 2 } reject with tcp reset
    }
}
N
same "connections of a client that tries five times, before and after a reload, and after another one" "to a rule: 2
to a set: 2
reloaded
to a rule: 2
to a set: 2
reloaded
to a rule: 2
to a set: 2
open: 12, known to conntrack: 12" "$(inside python3 - "$scratch/saved.nft" <<'P'
import socket
import subprocess
import sys

servers = {name: socket.create_server(("127.0.0.1", port)) for name, port in (("rule", 7001), ("set", 7002))}
connections = []
for load in range(3):
    if load:
        subprocess.run(f"(echo flush ruleset; nft list ruleset) >{sys.argv[1]} && nft -f {sys.argv[1]}", shell=True, check=True)
        print("reloaded")
    for name, server in servers.items():
        before = len(connections)
        for _ in range(5):
            try:
                connections.append(socket.create_connection(server.getsockname(), timeout=5))
            except ConnectionRefusedError:
                pass
        print(f"to a {name}: {len(connections) - before}")
with open("/proc/net/nf_conntrack") as file:
    known = sum("ESTABLISHED" in line for line in file)
print(f"open: {len(connections)}, known to conntrack: {known}")
P
)"
