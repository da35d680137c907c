#!/usr/bin/env bash
# `iifname { "lan0*", "lan1*" }` is loaded and matches both kinds of interface. nft lists it as `iifname { ""/31 }`, and refuses that:
# of a saved ruleset with such a rule nothing is loaded at the next boot. Wildcards that follow each other in the order of their
# bytes are merged; `{ "lan0*", "lan3*" }`, and a set with a name, are listed as written. A name behind a wildcard, as `lan1`, will do.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
debian13 nftables=1.1.3-1
echo "nft: $(inside nft --version), $(inside13 nft --version)"
echo "kernel: $(uname -r)"

ruleset() { # RULE
    printf 'flush ruleset\ntable inet t {\n chain c {\n type filter hook prerouting priority 0;\n %s\n }\n}\n' "$1"
}
listed() { # RULE: by both, and whether each loads what it listed
    for nft in "inside $root/usr/sbin/nft" "inside13 nft"; do
        ruleset "$1" | $nft -f -
        $nft list ruleset >"$scratch/saved"
        sed -n 's/^\t*\(iifname.*\)/\1/p' "$scratch/saved"
        inside nft flush ruleset
        if $nft -f - <"$scratch/saved" 2>"$scratch/errors"; then echo "  loaded"; else sed -n 's/.*\(Error: .*\)/  \1/p' "$scratch/errors"; fi
    done
}
same "wildcards apart" 'iifname { "lan0*", "lan3*" } accept
  loaded
iifname { "lan0*", "lan3*" } accept
  loaded' "$(listed 'iifname { "lan0*", "lan3*" } accept')"
same "wildcards side by side" 'iifname { ""/31 } accept
  Error: Empty string is not allowed
iifname { ""/31 } accept
  Error: Empty string is not allowed' "$(listed 'iifname { "lan0*", "lan1*" } accept')"
same "a name behind a wildcard" 'iifname { ""-"" } accept
  Error: Empty string is not allowed
iifname { ""-"" } accept
  Error: Empty string is not allowed' "$(listed 'iifname { "lan0*", "lan1" } accept')"

for name in lan0 lan15 lan2; do wire "$name" "peer-$name"; done
counted() { # INTERFACE: how many of three packets that come in by it match
    ruleset 'iifname { "lan0*", "lan1*" } ip6 saddr 2001:db8::1 counter' | inside nft -f -
    inside python3 - "peer-$1" <<'P'
import ipaddress
import socket
import sys

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind((sys.argv[1], 0))
    addresses = ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("ff02::1").packed
    for _ in range(3):
        wire.send(bytes.fromhex("333300000001 020000000001 86dd 60000000 0000 3b 40") + addresses)
P
    inside nft list ruleset | sed -n "s/.*counter packets \([0-9]*\) .*/$1: \1/p"
}
same "what is matched all the same" "lan0: 3
lan15: 3
lan2: 0" "$(counted lan0; counted lan15; counted lan2)"
