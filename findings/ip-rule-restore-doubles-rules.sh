#!/usr/bin/env bash
# `ip rule restore` adds each saved rule once more, whether it is there or not, and exits 0. Even after `ip rule flush`,
# which leaves rule 0, that one is there twice; a script that restores at each start of an uplink doubles all of them
# each time, and to delete one then leaves its copies in force. `ip rule add` and `ip route restore` make no copies.
# iproute2 7.3 does the same.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
echo "ip: $(inside ip -V), $(inside13 ip -V)"
echo "kernel: $(uname -r)"

rules() { inside ip rule | tr '\t' ' '; }
for with in inside inside13; do
    "$with" ip rule add pref 100 from 192.0.2.0/24 lookup 7
    "$with" ip rule save >"$scratch/rules"
    "$with" ip rule flush
    same "exit code of restore behind a flush" "0" "$("$with" ip rule restore <"$scratch/rules"; echo $?)"
    same "rules" "0: from all lookup local
0: from all lookup local
100: from 192.0.2.0/24 lookup 7
32766: from all lookup main
32767: from all lookup default" "$(rules)"

    same "exit code of another restore" "0" "$("$with" ip rule restore <"$scratch/rules"; echo $?)"
    inside ip rule del pref 100 from 192.0.2.0/24 lookup 7
    same "the rule is there after it was deleted" "100: from 192.0.2.0/24 lookup 7" "$(rules | grep ^100)"
    while inside ip rule del pref 100 2>/dev/null; do :; done
    while [ "$(rules | grep -c '^0:')" -gt 1 ]; do inside ip rule del pref 0; done
    while [ "$(rules | grep -c ^3276)" -gt 2 ]; do inside ip rule del pref 32766; inside ip rule del pref 32767; done

    "$with" ip route add 198.51.100.0/24 dev lo table 7
    "$with" ip route save table 7 >"$scratch/routes"
    same "exit code of ip route restore" "0" "$("$with" ip route restore <"$scratch/routes" 2>/dev/null; echo $?)"
    same "routes" "198.51.100.0/24 dev lo scope link " "$(inside ip route show table 7)"
    inside ip route flush table 7
done
