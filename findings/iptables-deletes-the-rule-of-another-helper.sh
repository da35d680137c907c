#!/usr/bin/env bash
# Two rules accept what connection tracking helpers expect, one for ftp and one for sip. `iptables -D ... -m helper --helper sip` deletes
# the first, that for ftp, and exits 0; `-C` finds a rule for a helper that no rule names. When rules are compared the name does not
# count. The same holds for `-m connlabel --label 1` and the same with `--set`, of which one only looks at a label and the other writes it.
# ebtables goes further: of the conditions of spanning tree none counts, not even their negation.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3
debian13 iptables=1.8.11-2 nftables=1.1.3-1
for tables in "inside env XTABLES_LIBDIR=$root/usr/lib/$(uname -m)-linux-gnu/xtables iptables-nft" "inside13 iptables-nft" "inside13 ip6tables-nft"; do
    echo "$($tables --version), kernel $(uname -r)"
    found() { if $tables -C FORWARD "$@" 2>/dev/null; then echo "found: $*"; else echo "not found: $*"; fi; }
    rules() { $tables -S FORWARD | sed -n 's/^-A FORWARD //p'; }

    $tables -A FORWARD -m helper --helper ftp -j ACCEPT
    same "is there a rule for another helper, or for none" "found: -m helper --helper sip -j ACCEPT
not found: -j ACCEPT" "$(found -m helper --helper sip -j ACCEPT; found -j ACCEPT)"
    $tables -A FORWARD -m helper --helper sip -j ACCEPT
    $tables -D FORWARD -m helper --helper sip -j ACCEPT
    same "what is left of ftp and sip when sip is deleted" "-m helper --helper sip -j ACCEPT" "$(rules)"

    $tables -F FORWARD
    $tables -A FORWARD -m connlabel --label 1
    $tables -A FORWARD -m connlabel --label 1 --set
    $tables -D FORWARD -m connlabel --label 1 --set
    same "what is left when the rule that writes is deleted" '-m connlabel --label "1" --set' "$(rules)"
    $tables -F FORWARD
done

echo "$(inside13 ebtables-nft --version), kernel $(uname -r)"
inside13 ebtables-nft -A FORWARD -d BGA ! --stp-root-prio 4096 -j DROP
inside13 ebtables-nft -A FORWARD -d BGA --stp-type config --stp-root-prio 4096 -j DROP
inside13 ebtables-nft -D FORWARD -d BGA --stp-type config --stp-root-prio 4096 -j DROP
same "what is left when the rule for one root bridge is deleted, that for all others or it" "-d BGA --stp-type config --stp-root-prio 4096 -j DROP" \
    "$(inside13 ebtables-nft -L FORWARD | sed -n '/^-/p')"
