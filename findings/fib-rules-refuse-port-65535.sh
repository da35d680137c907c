#!/usr/bin/env bash
# The usual range of unprivileged ports, 1024-65535, cannot be said in policy routing: the kernel refuses each FIB rule
# whose range ends at 65535, and port 65535 alone. nft, where the mark for such a rule is often set, matches both.
#
# fib_rule_port_range_valid() in include/net/fib_rules.h asks for start and end below 0xffff.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
echo "kernel: $(uname -r)"

added() { inside ip rule add pref 100 ipproto tcp "$@" lookup 7 2>&1 && inside ip rule del pref 100; }
refusal() { added "$@" | head -1 || true; }

same "the range of unprivileged ports is refused" \
    "Error: Invalid sport range." "$(refusal sport 1024-65535)"
same "and the last port alone" "Error: Invalid dport range." "$(refusal dport 65535)"
same "one port less is accepted" "" "$(refusal sport 1024-65534)"

inside nft -f - <<'N'
table inet t {
    chain c {
        tcp sport 1024-65535 accept
        tcp dport 65535 accept
    }
}
N
same "nft matches both" "2" "$(inside nft list chain inet t c | grep -c 65535)"
