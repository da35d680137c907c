#!/usr/bin/env bash
# nft 1.1.3 of Debian 13 refuses each range of hours that begins before midnight and ends after it, which 1.0.6 of Debian 12
# loads, and with it the whole file: after the upgrade the host has no rules at all. It is midnight in UTC that counts, because
# nft writes hours in UTC: so west of Greenwich an ordinary evening is refused, and east of it a morning, and a file that is
# refused in winter may be loaded in summer.
. "$(dirname "$0")/lib.sh"
deb nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
debian13 nftables=1.1.3-1
echo "nft: $(inside nft --version), $(inside13 nft --version)"

ruleset() { # HOURS
    echo "table ip t {
        chain forward {
            type filter hook forward priority 0; policy drop;
            meta hour $1 accept
        }
    }"
}
loads() { # TZ HOURS: does each version load it?
    ruleset "$2" >"$scratch/hours.nft"
    cp "$scratch/hours.nft" "$root13/tmp/"
    inside nft flush ruleset
    TZ=$1 result inside nft -f "$scratch/hours.nft"
    inside nft flush ruleset
    TZ=$1 result inside13 nft -f /tmp/hours.nft
}
result() {
    local said
    if said=$("$@" 2>&1); then echo loaded; else head -1 <<<"$said" | sed 's/.*Error/Error/'; fi
}
refused="loaded
Error: Range negative size"

same "by day, in UTC" $'loaded\nloaded' "$(loads UTC '"08:00"-"17:00"')"
same "by night, in UTC" "$refused" "$(loads UTC '"22:00"-"06:00"')"
same "in the evening in New York" "$refused" "$(loads EST5 '"18:00"-"23:00"')"
same "by night in New York, which is morning in UTC" $'loaded\nloaded' "$(loads EST5 '"22:00"-"06:00"')"
same "early in the morning in Berlin, in winter" "$refused" "$(loads CET-1 '"00:30"-"06:00"')"
same "from one to six in Berlin in winter" $'loaded\nloaded' "$(loads CET-1 '"01:00"-"06:00"')"
same "the same in summer" "$refused" "$(loads CEST-2 '"01:00"-"06:00"')"
same "tables after a refusal" "" "$(inside nft list tables)"
