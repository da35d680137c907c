#!/usr/bin/env bash
# `nft monitor trace` runs while a firewall is mended: a rule is changed, the file loaded again with `nft -f`, the packet sent once more. The
# trace goes on, and names rules of the ruleset before: handles begin again with each table, and it keeps the rules that it
# read when it began. A packet that the rule "guests" drops is told to have met `accept comment "office"`, with the verdict drop. What has a
# handle that was not there before is an "unknown rule". A trace that begins after the reload names the right ones.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
debian13 nftables=1.1.3-1
echo "nft: $(inside nft --version), $(inside13 nft --version), kernel $(uname -r)"

office='ip daddr 127.0.0.2 counter accept comment "office"'
guests='ip daddr 127.0.0.1 counter drop comment "guests"'
printers='ip daddr 127.0.0.3 counter drop comment "printers"'
load() { # RULE...
    { printf 'flush ruleset\ntable inet gateway {\nchain c {\ntype filter hook output priority raw\nudp dport 9 meta nftrace set 1\n'
        printf '%s\n' "$@" "}" "}"; } | inside nft -f -
}
# What the trace says of a packet to ADDRESS, of rules that have a comment or that it does not know.
traced() { # ADDRESS
    local before
    before=$(grep -c 'verdict drop' "$scratch/trace" || true)
    inside python3 - "$1" <<'P'
import contextlib
import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(PermissionError):  # dropped
    sock.sendto(b"x", (sys.argv[1], 9))
P
    until_seen sh -c '[ "$(grep -c "verdict drop" "$0")" -gt "$1" ]' "$scratch/trace" "$before"
    grep 'verdict drop' "$scratch/trace" | tail -n 1 | sed 's/.* c \(unknown \|\)rule/\1rule/; s/packets [0-9]* bytes [0-9]* //'
}
tracing() { # NFT...: begins, and has seen a first packet
    : >"$scratch/trace"
    "$@" monitor trace >"$scratch/trace" 2>&1 &
    until_seen sees_packets
}
sees_packets() { inside python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.2", 9))'; [ -s "$scratch/trace" ]; }

for nft in nft13 nft12; do
    if [ $nft = nft13 ]; then tool=(inside13 nft); else tool=(inside nft); fi
    load "$office" "$guests"
    tracing "${tool[@]}"
    same "$nft: a packet to guests" "rule $guests (verdict drop)" "$(traced 127.0.0.1)"
    load "$guests" "$printers" "$office"
    same "$nft: the same packet, after a reload with guests before office" "rule $office (verdict drop)" "$(traced 127.0.0.1)"
    same "$nft: one to printers, which came in between" "rule $guests (verdict drop)" "$(traced 127.0.0.3)"
    load "$office" "$guests" "$printers"
    same "$nft: and with printers as the last" "unknown rule handle 5 (verdict drop)" "$(traced 127.0.0.3)"
    end_daemons
    load "$guests" "$printers" "$office"
    tracing "${tool[@]}"
    same "$nft: the first packet, to a trace that began after the reload" "rule $guests (verdict drop)" "$(traced 127.0.0.1)"
    end_daemons
done
