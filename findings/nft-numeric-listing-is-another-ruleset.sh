#!/usr/bin/env bash
# `fib saddr . iif oif exists accept` lets in what came by the interface of its way back. `nft -n list ruleset`, whose numbers are to keep a
# saved file from depending on names, lists it as `oif 1`: loaded again it is `oif "lo"`, and lets in nothing but what came by loopback. What sets `ct event` to two events is listed as a line that nft refuses.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
debian13 nftables=1.1.3-1 iproute2=6.15.0-1
echo "nft: $(inside nft --version), $(inside13 nft --version)"
echo "kernel: $(uname -r)"

ip netns add "$netns-host"
trap 'ip netns del "$netns-host"; cleanup' EXIT
inside ip link add wan0 type veth peer name host0 netns "$netns-host"
inside ip addr add 192.0.2.1/24 dev wan0
inside ip link set wan0 up
ip -n "$netns-host" addr add 192.0.2.2/24 dev host0
ip -n "$netns-host" link set host0 up

rules() { # RULE: loaded, and its listing
    printf 'flush ruleset\ntable ip t {\n chain input {\n type filter hook input priority 0; policy drop;\n %s\n }\n}\n' "$1" | inside nft -f -
}
cat >"$scratch/hears.py" <<'P'
import socket
import subprocess
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("192.0.2.1", 4000))
    server.settimeout(2)
    send = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 4000))"
    subprocess.run(["ip", "netns", "exec", sys.argv[1], "python3", "-c", send], check=True)
    try:
        server.recv(1)
        print("it arrives")
    except TimeoutError:
        print("it is dropped")
P
hears() { inside python3 "$scratch/hears.py" "$netns-host"; }
for nft in "inside nft" "inside13 nft"; do
    rules "fib saddr . iif oif exists accept"
    same "what another host sends" "it arrives" "$(hears)"
    same "the rule, with and without -n" "fib saddr . iif oif exists accept
fib saddr . iif oif 1 accept" "$({ $nft list ruleset; $nft -n list ruleset; } | sed -n 's/^\t*\(fib.*\)/\1/p')"
    { echo flush ruleset; $nft -n list ruleset; } >"$scratch/saved"
    $nft -f - <"$scratch/saved"
    same "and once the listing is loaded" 'fib saddr . iif oif "lo" accept' "$($nft list ruleset | sed -n 's/^\t*\(fib.*\)/\1/p')"
    same "what it sends once the listing is loaded" "it is dropped" "$(hears)"

    rules "ct event set new,destroy"
    { echo flush ruleset; $nft -n list ruleset; } >"$scratch/saved"
    same "two events, with -n" "ct event set 0x1,0x4" "$(sed -n 's/^\t*\(ct.*\)/\1/p' "$scratch/saved")"
    same "and loaded" "Error: syntax error, unexpected comma, expecting newline or semicolon" "$($nft -f - 2>&1 <"$scratch/saved" | sed -n 's/.*\(Error: .*\)/\1/p')"
done
