#!/usr/bin/env bash
# `netfilter-persistent reload` puts what the files in /etc/iptables say in place of the kernel's rules, and adds what they say to the kernel's
# sets: an address that was taken out of /etc/iptables/ipsets stays banned, without a word, and exit code 0.
. "$(dirname "$0")/lib.sh"
debian13 ipset-persistent=1.0.23 iptables-persistent=1.0.23 ipset=7.22-1+b1 iptables=1.8.11-2 debianutils=5.23.2 coreutils=9.7-3 dash=0.5.12-12
ln -sf dash "$root13/usr/bin/sh"
echo root:x:0:0::/: >"$root13/etc/passwd"
for name in iptables ip6tables; do
    for verb in '' -save -restore; do ln -sf xtables-nft-multi "$root13/usr/sbin/$name$verb"; done
done
mkdir -p "$root13/etc/iptables"
inside13 ipset --version | sed -n 1p
echo "kernel: $(uname -r)"

cat >"$root13/etc/iptables/ipsets" <<'S'
create bans hash:ip
add bans 192.0.2.7
add bans 192.0.2.8
create more hash:net
add more 198.51.100.0/24
S
cat >"$root13/etc/iptables/rules.v4" <<'R'
*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -m set --match-set bans src -j DROP
-A FORWARD -s 203.0.113.66 -j DROP
COMMIT
R
: >"$root13/etc/iptables/rules.v6"
reload() {
    inside13 netfilter-persistent reload >"$scratch/log" 2>&1 && echo "exit code 0" || echo "exit code $?"
    inside13 iptables -S FORWARD | sed -n 's/^-A FORWARD //p'
    inside13 ipset list -o save | sed -n 's/^add //p' | sort
}
same "rules and sets" "exit code 0
-m set --match-set bans src -j DROP
-s 203.0.113.66/32 -j DROP
bans 192.0.2.7
bans 192.0.2.8
more 198.51.100.0/24" "$(reload)"
sed -i '/192.0.2.8/d; /^add more/d' "$root13/etc/iptables/ipsets"
sed -i '/203.0.113.66/d' "$root13/etc/iptables/rules.v4"
same "with a rule and two addresses taken out of the files" "exit code 0
-m set --match-set bans src -j DROP
bans 192.0.2.7
bans 192.0.2.8
more 198.51.100.0/24" "$(reload)"
