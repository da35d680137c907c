#!/usr/bin/env bash
# With a default route by two uplinks, `ip route flush default dev wan0`, as a hook of the first uplink has it, did nothing in iproute2 6.1 of
# Debian 12: routes with several next hops are in no selection by `dev`, of a listing or of a flush. 6.15 of Debian 13 selects them, and its
# flush deletes the whole route, with the uplink that works. `via` selects them in neither: `ip route show via` a gateway
# does not show the default route by it. The exit code is 0 throughout.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
echo "$(inside ip -V), $(inside13 ip -V), kernel $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 192.0.2.2/24 dev wan0
inside ip addr add 198.51.100.2/24 dev wan1
inside ip -6 addr add 2001:db8:a::2/64 dev wan0 nodad
inside ip -6 addr add 2001:db8:b::2/64 dev wan1 nodad

defaults() { { inside ip route show; inside ip -6 route show; } | awk '/^default/ {print $1} /^\tnexthop/ {print $3, $5}'; }
selected() { # IP CONDITION...: how many default routes of each family
    echo "$($1 -4 route show default "${@:2}" | grep -c default || true) $($1 -6 route show default "${@:2}" | grep -c default || true)"
}
both='default
192.0.2.1 wan0
198.51.100.1 wan1
default
2001:db8:a::1 wan0
2001:db8:b::1 wan1'
inside ip route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1
inside ip -6 route add default nexthop via 2001:db8:a::1 nexthop via 2001:db8:b::1
same "the default routes" "$both" "$(defaults)"
same "6.1 lists of each family, by dev wan0" "0 0" "$(selected "inside ip" dev wan0)"
same "6.15" "1 1" "$(selected "inside13 ip" dev wan0)"
for ip in "inside ip" "inside13 ip"; do
    same "$ip, by the gateway" "0 0" "$($ip -4 route show default via 192.0.2.1 | grep -c . || true) $($ip -6 route show default via 2001:db8:a::1 | grep -c . || true)"
done

flush() { for family in -4 -6; do "$@" $family route flush default dev wan0; done; echo "exit $?"; }
same "flush by 6.1" "exit 0" "$(flush inside ip)"
same "the default routes" "$both" "$(defaults)"
same "flush by 6.15" "exit 0" "$(flush inside13 ip)"
same "the default routes" "" "$(defaults)"
