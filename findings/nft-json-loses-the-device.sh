#!/usr/bin/env bash
# nft 1.0.6 (Debian 12) leaves the device of a netdev chain out of its JSON, so that it does not read what it wrote:
# a ruleset that was saved with `nft -j list ruleset` cannot be loaded, and a program that reads the JSON cannot know which
# interface the chain filters. The text has it.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2
nft --version

inside ip link add wan0 type veth peer name wan1
inside nft 'table netdev early { chain in { type filter hook ingress device "wan0" priority 0; policy drop; }; }'
same "in text" 'device "wan0"' "$(inside nft list ruleset | grep -o 'device "[a-z0-9]*"')"
inside nft -j list ruleset >"$scratch/saved.json"
same "in JSON" '"hook": "ingress", "prio": 0, "policy": "drop"}' "$(grep -o '"hook": "ingress".*' "$scratch/saved.json" | cut -d'}' -f1)}"
same "interfaces that the JSON names" "0" "$(grep -c wan0 "$scratch/saved.json" || true)"
inside nft flush ruleset
same "loaded again" "internal:0:0-0: Error: Missing \`device' in this chain definition" \
    "$(inside nft -j -f "$scratch/saved.json" 2>&1 | grep -o 'internal.*' || true)"
