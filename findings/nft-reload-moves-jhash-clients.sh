#!/usr/bin/env bash
# `nft list ruleset` saves a `jhash` without its seed, so that to load the very same text again moves clients: those of a
# load balancer to other servers, those of a NAT pool to other addresses. So does each edit that makes the rule again.
#
# Without a seed in the text the kernel draws one (nft_jhash_init(), autogen_seed) and does not tell it (nft_jhash_dump()).
# `jhash ... mod 2 seed 0x1` is kept. Here 64 sources are spread over two sets before and after a save and a load.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2
nft --version

spread() { # HASH: how many of 64 sources are elsewhere after `nft list ruleset`, `flush ruleset`, `nft -f`
    cat >"$scratch/ruleset" <<N
table ip balance {
    set first { type ipv4_addr; flags dynamic; size 1024; }
    set second { type ipv4_addr; flags dynamic; size 1024; }
    chain to_first { add @first { ip saddr }
    }
    chain to_second { add @second { ip saddr }
    }
    chain output {
        type filter hook output priority 0
        ip daddr 127.0.0.200 $1 vmap { 0 : jump to_first, 1 : jump to_second }
    }
}
N
    inside nft flush ruleset
    inside nft -f "$scratch/ruleset"
    inside nft list ruleset >"$scratch/saved"
    sources >"$scratch/before"
    inside nft flush ruleset
    inside nft -f "$scratch/saved"
    sources >"$scratch/after"
    comm -13 "$scratch/before" "$scratch/after" | wc -l
}

sources() { # those in the first set, after a packet of each
    inside python3 - <<'P'
import socket
for number in range(1, 65):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((f"127.0.1.{number}", 0))
        sender.sendto(b"", ("127.0.0.200", 9))
P
    inside nft list set ip balance first | grep -o '127\.0\.1\.[0-9]*' | sort
}

moved=$(spread "jhash ip saddr mod 2")
same "the listing has no seed" "jhash ip saddr mod 2" "$(grep -o 'jhash ip saddr mod 2[^v]*' "$scratch/saved" | sed 's, $,,')"
same "clients that came to the first server by a load of the same text: some" "yes" "$([ "$moved" -gt 0 ] && echo yes || echo no)"
echo "    ($moved of 64 came, about as many went)"
same "clients that came to it with a seed in the text" "0" "$(spread "jhash ip saddr mod 2 seed 0x1")"
