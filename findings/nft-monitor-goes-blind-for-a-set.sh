#!/usr/bin/env bash
# `nft monitor` tells of the elements of a named set until a rule that looks in it is deleted, one of several even: from then on
# it knows no such set and leaves out what is added to it and deleted from it, in text and JSON, with a warning that is no JSON.
# A monitor that begins afterwards tells of them. Whoever replaces a rule makes the monitors of others blind that way.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2
debian13 nftables=1.1.3-1
echo "Debian 12: $(inside nft --version)"
echo "Debian 13: $(inside13 nft --version)"
echo "kernel: $(uname -r)"

watch() { # COMMAND...: of nft; what its monitor says, but for generations and warnings
    inside nft -f - <<'N'
flush ruleset
table inet t {
    set banned {
        type ipv4_addr
    }
    chain input {
        ip saddr @banned drop
        ip saddr @banned tcp dport 22 drop
    }
}
N
    "$@" monitor >"$scratch/said" 2>&1 &
    heard() { inside nft add table inet hello; inside nft delete table inet hello; grep -q hello "$scratch/said"; }
    until_seen heard
    inside nft add element inet t banned '{ 192.0.2.1 }'
    inside nft delete rule inet t input handle "$(inside nft -a list chain inet t input | sed -n 's/.*dport 22.*handle //p')"
    inside nft add element inet t banned '{ 192.0.2.2 }'
    inside nft delete element inet t banned '{ 192.0.2.1 }'
    inside nft add counter inet t last
    until_seen grep -q last "$scratch/said"
    end_daemons
    grep -o 'add element.*\|delete element.*\|delete rule\|Received event for an unknown set\|"add": {"element.*' "$scratch/said"
    echo "in the set: $(inside nft list set inet t banned | grep -o 'elements.*')"
}
said="add element inet t banned { 192.0.2.1 }
delete rule
Received event for an unknown set
Received event for an unknown set
in the set: elements = { 192.0.2.2 }"
same "of an address, a rule and two addresses, by 1.0.6" "$said" "$(watch inside nft)"
same "by 1.1.3" "$said" "$(watch inside13 nft)"
