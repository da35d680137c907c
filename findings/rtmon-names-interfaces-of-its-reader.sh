#!/usr/bin/env bash
# rtmon records changes of routes for later (`rtmon file`, `ip monitor file`), and `ip route save` records routes. Both record interfaces by
# number alone, and name them by what has that number where and when the record is read. After a restart, on the desk of who looks into an
# outage, or in another namespace, the record says that the route of wan0 was one of wan1, without a word, although the same file of rtmon
# begins with the names of that day. `ip route restore` routes it there.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
echo "$(inside ip -V), $(inside13 ip -V), kernel $(uname -r)"

interfaces() { # NAMESPACE NAME NUMBER...
    for ((at = 2; at < $#; at += 2)); do
        local name=${*:at:1} number=${*:at+1:1}
        ip -n "$1" link add "$name" index "$number" type veth peer name "isp$number"
        ip -n "$1" link set "isp$number" up
        ip -n "$1" link set "$name" up
    done
}
desk="$netns-desk"
trap 'ip netns del "$desk"; cleanup' EXIT
ip netns add "$desk"
interfaces "$netns" wan0 10 wan1 11
interfaces "$desk" wan0 11 wan1 10

for version in 12 13; do
    if [ $version = 12 ]; then rtmon=(inside rtmon) file="$scratch/log" record=$scratch/log; else rtmon=(inside13 rtmon) file=/tmp/log record=$root13/tmp/log; fi
    "${rtmon[@]}" file "$file" &
    recorded() { ip netns exec "$1" ip monitor file "$record" | sed -n 's/ *$//; /^\(Deleted \)\?203/p' | sort -u; }
    both() { inside ip route add 203.0.113.0/24 dev wan0; inside ip route del 203.0.113.0/24; [ "$(recorded "$netns" | wc -l)" = 2 ]; }
    until_seen both
    end_daemons
    same "Debian $version: what was recorded, where it happened" "203.0.113.0/24 dev wan0 scope link
Deleted 203.0.113.0/24 dev wan0 scope link" "$(recorded "$netns" | sort)"
    same "elsewhere" "203.0.113.0/24 dev wan1 scope link
Deleted 203.0.113.0/24 dev wan1 scope link" "$(recorded "$desk" | sort)"
    same "the names in the file" "10: wan0 11: wan1" "$(ip netns exec "$desk" ip monitor file "$record" | sed -n 's/^\(1[01]: wan.\).*/\1/p' | sort -u | paste -sd' ')"
done
inside ip route add 203.0.113.0/24 dev wan0
inside ip route save 203.0.113.0/24 >"$scratch/routes"
ip netns exec "$desk" ip route restore <"$scratch/routes"
same "what ip route restore makes of the route of wan0" "203.0.113.0/24 dev wan1 scope link" "$(ip -n "$desk" route show 203.0.113.0/24 | sed 's/ *$//')"
