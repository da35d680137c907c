#!/usr/bin/env bash
# ipset-translate turns `ipset save` into a file for nft. At the first set that it cannot translate (here one with `skbinfo`, as for
# marks by address) it writes a comment, stops and exits 0: the sets behind it are missing from a file that nft loads. An exception
# of a network (`nomatch`) becomes a member. ipset 7.22 of Debian 13 does the same.
. "$(dirname "$0")/lib.sh"
deb ipset=7.17-1 libipset13=7.17-1 libmnl0=1.0.4-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
echo "ipset: $(inside ipset version)"

cat >"$scratch/ipset.conf" <<'I'
create own hash:ip family inet
add own 192.0.2.1
create uplinks hash:net family inet skbinfo
add uplinks 198.51.100.0/24 skbmark 0x100/0xff00
create banned hash:ip family inet
add banned 192.0.2.7
I
inside ipset restore <"$scratch/ipset.conf"
same "sets of ipset" "own uplinks banned" "$(inside ipset list -name | tr '\n' ' ' | sed 's/ $//')"
same "exit code of the translation" "0" "$(inside ipset-translate restore <"$scratch/ipset.conf" >"$scratch/nft"; echo $?)"
same "what it is" "add table inet global
add set inet global own { type ipv4_addr; }
add element inet global own { 192.0.2.1 }
# create uplinks hash:net family inet skbinfo" "$(cat "$scratch/nft")"
same "nft loads it" "0" "$(inside nft -f "$scratch/nft"; echo $?)"

printf 'create lan hash:net family inet\nadd lan 10.9.0.0/24 nomatch\n' >"$scratch/ipset.conf"
same "an exception" "add element inet global lan { 10.9.0.0/24 }" \
    "$(inside ipset-translate restore <"$scratch/ipset.conf" | grep element)"
