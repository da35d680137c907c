#!/usr/bin/env bash
# A u32 filter for TCP port 80 of one network has three conditions. `tc -j filter show` gives each as a "match" of the same object, so that
# whatever reads the JSON keeps the last: a filter for a whole network, and in another order one for a port of all. tc's
# text has all three.
. "$(dirname "$0")/lib.sh"
debian13 iproute2=6.15.0-1
echo "$(inside13 tc -V), kernel $(uname -r)"

wire wan0 isp0
inside13 tc qdisc add dev wan0 root handle 1: htb default 20
inside13 tc class add dev wan0 parent 1: classid 1:10 htb rate 1mbit
filter() { # CONDITION...
    inside13 tc filter del dev wan0 parent 1: 2>/dev/null || true
    inside13 tc filter add dev wan0 parent 1: protocol ip u32 "$@" flowid 1:10
}
as_read() { inside13 tc -j filter show dev wan0 parent 1: | python3 -c '
import json
import sys

for row in json.load(sys.stdin):
    if (match := row.get("options", {}).get("match")):
        print(match["value"], match["mask"], "at", match["off"])'
}

port=(match ip protocol 6 0xff match ip dport 80 0xffff) network=(match ip src 10.0.0.0/8)
filter "${port[@]}" "${network[@]}"
same "as text" "match 00060000/00ff0000 at 8
match 00000050/0000ffff at 20
match 0a000000/ff000000 at 12" "$(inside13 tc filter show dev wan0 parent 1: | sed -n 's/^ *\(match .*\)/\1/p')"
same "the JSON, as read" "a000000 ff000000 at 12" "$(as_read)"
filter "${network[@]}" "${port[@]}"
same "the same conditions in another order" "50 ffff at 20" "$(as_read)"
