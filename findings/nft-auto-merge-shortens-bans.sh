#!/usr/bin/env bash
# A set of bans that ends them by itself (`timeout`) and merges neighbours (`auto-merge`): nft makes one element of two
# that touch, and it has the time of the one that was added last. A ban of ten seconds so ends its neighbour's of an hour,
# and the ban of a part of a network that is banned already is forgotten, though it was to last longer. Counters and comments of
# merged elements are lost as well. nft exits 0 each time. So it is with nft 1.1.3 of Debian 13.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
echo "nft: $(inside nft --version)"

fresh() { # STATEMENT: an empty set with it
    inside nft flush ruleset
    inside nft "add table ip t; add set ip t bans { type ipv4_addr; flags interval${1:+,$1}; ${2:-} auto-merge; }"
}
ban() { inside nft add element ip t bans "{ $1 }"; }
bans() { inside nft list set ip t bans | tr -d '\n\t' | sed 's/.*elements = { *\(.*[^ ]\) *}}}/\1/; s/ expires [^,]*//g'; }

fresh timeout
ban "192.0.2.0/25 timeout 1h"
ban "192.0.2.128/25 timeout 10s"
same "the neighbour of a network that is banned for an hour is banned for ten seconds" "192.0.2.0/24 timeout 10s" "$(bans)"

fresh timeout
ban "192.0.2.7 timeout 1d"
ban "192.0.2.0/24 timeout 10s"
same "so is the network of an address that is banned for a day" "192.0.2.0/24 timeout 10s" "$(bans)"

fresh timeout
ban "192.0.2.0/24 timeout 10s"
ban "192.0.2.7 timeout 1d"
same "in the other order the address is not added" "192.0.2.0/24 timeout 10s" "$(bans)"

fresh "" "counter;"
ban '192.0.2.0/25 counter packets 5 bytes 500 comment "abuse"'
ban 192.0.2.128/25
same "counters and comments" "192.0.2.0/24 counter packets 0 bytes 0" "$(bans)"
