#!/usr/bin/env bash
# A map of port forwards, from address and port to address and port, is listed as JSON in a form that nft itself does not
# load: its values have the type "ipv4_addr . inet_service", in one string, where the parser wants a list. The same
# listing as text is loaded. A backup of a gateway in JSON is none, if it has such a map.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libjansson4=2.14-2
echo "nft: $(inside nft --version)"

inside nft -f - <<'N'
table ip nat {
    map forwards {
        type ipv4_addr . inet_service : ipv4_addr . inet_service
        elements = { 203.0.113.2 . 443 : 192.168.1.80 . 8443 }
    }
    chain prerouting {
        type nat hook prerouting priority dstnat
        meta l4proto tcp dnat to ip daddr . tcp dport map @forwards
    }
}
N
inside nft -j list ruleset >"$scratch/json"
inside nft list ruleset >"$scratch/text"

inside nft flush ruleset
same "the JSON of the listing is refused" \
    "internal:0:0-0: Error: Invalid map type 'ipv4_addr . inet_service'." \
    "$(inside nft -j -f "$scratch/json" 2>&1 | head -1)"
same "and nothing of it is loaded" "" "$(inside nft list ruleset)"
same "its text is loaded" "0" "$(inside nft -f "$scratch/text" >/dev/null 2>&1; echo $?)"
same "and means the same" "$(cat "$scratch/text")" "$(inside nft list ruleset)"
