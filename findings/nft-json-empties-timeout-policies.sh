#!/usr/bin/env bash
# A conntrack timeout policy that goes through JSON loses its times: the listing has them, and loading the listing makes
# a policy of the same name with those of the kernel, for both families, and exits 0: nft shows them by showing none. An
# established TCP connection then stays for five days where two minutes were asked for.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libjansson4=2.14-2
echo "nft: $(inside nft --version)"

inside nft -f - <<'N'
table inet filter {
    ct timeout impatient {
        protocol tcp
        l3proto ip
        policy = { established : 120, close : 20 }
    }
    chain prerouting {
        type filter hook prerouting priority -200
        tcp dport 5060 ct timeout set "impatient"
    }
}
N
policy() { inside nft list ruleset | sed -n 's/^[[:space:]]*\(l3proto.*\|policy = .*\)/\1/p'; }
same "the policy" $'l3proto ip\npolicy = { established : 120, close : 20 }' "$(policy)"

inside nft -j list ruleset >"$scratch/json"
same "its times are in the JSON" '"policy": {"established": 120, "close": 20}' \
    "$(grep -o '"policy": {"est[^}]*}' "$scratch/json")"
inside nft flush ruleset
same "which is loaded" "0" "$(inside nft -j -f "$scratch/json" >/dev/null; echo $?)"
same "and has none afterwards" $'l3proto inet\npolicy = {  }' "$(policy)"
