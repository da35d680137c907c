#!/usr/bin/env bash
# `ip rule flush from 10.0.0.0/8` is to take away the rules of one network. It takes the rule `not from 10.0.0.0/8` as well, which is for all the
# others, and those for each part of the network, with whatever mark or action, so also the `unreachable` that guards it. `ip rule flush fwmark 1`
# takes rules for the mark under any mask. `ip rule del` with the same words deletes one rule, and that one only; and to
# flush by action or by suppress_prefixlength is refused. The exit code is 0.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
echo "$(inside ip -V), $(inside13 ip -V), kernel $(uname -r)"

rules() { # the same ones again
    inside ip rule flush
    inside ip rule add pref 100 from 10.0.0.0/8 lookup 7
    inside ip rule add pref 101 not from 10.0.0.0/8 lookup 8
    inside ip rule add pref 102 from 10.1.0.0/16 fwmark 0x1/0xff lookup 7
    inside ip rule add pref 103 from 10.0.0.0/8 unreachable
    inside ip rule add pref 104 fwmark 0x1 lookup 7
    inside ip rule add pref 105 from 172.16.0.0/12 lookup 7
}
left() { inside ip rule show | sed -n 's/^\(10[0-9]\):.*/\1/p' | paste -sd' '; }

for ip in "inside ip" "inside13 ip"; do
    rules
    $ip rule del from 10.0.0.0/8
    same "$ip: left after rule del from 10.0.0.0/8" "101 102 103 104 105" "$(left)"
    rules
    $ip rule flush from 10.0.0.0/8
    same "$ip: after rule flush from 10.0.0.0/8" "104 105" "$(left)"
    rules
    $ip rule flush not from 10.0.0.0/8
    same "$ip: after rule flush not from 10.0.0.0/8" "100 102 103 104 105" "$(left)"
    rules
    $ip rule del fwmark 1
    same "$ip: after rule del fwmark 1" "100 101 102 103 105" "$(left)"
    rules
    $ip rule flush fwmark 1
    same "$ip: after rule flush fwmark 1" "100 101 103 105" "$(left)"
    same "$ip: rule flush unreachable" 'Error: inet prefix is expected rather than "unreachable".' "$($ip rule flush unreachable 2>&1 || true)"
done
