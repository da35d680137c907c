#!/usr/bin/env bash
# `ip -6 route save` and `restore` exit 0, and of a route that expires, such as the default route of a router advertisement, they make
# one that stays: when the router is gone, packets still go there. On IPv4 there are no such routes.
#
# The kernel tells how long a route has in RTA_CACHEINFO, and takes it from RTA_EXPIRES: restore sends back what it was told.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
echo "ip: $(inside ip -V), $(inside13 ip -V)"
echo "kernel: $(uname -r)"

wire wan0 wan1
inside ip addr add 2001:db8::2/64 dev wan0 nodad
routes() { inside ip -6 route show proto ra | sed 's/ *$//'; }
fresh() {
    inside ip -6 route flush proto ra
    inside ip -6 route add default via fe80::1 dev wan0 proto ra metric 1024 expires 3
}

fresh
same "the route of an advertisement" "default via fe80::1 dev wan0 metric 1024 expires 3sec pref medium" \
    "$(routes | sed 's/expires 2sec/expires 3sec/')"
until_seen sh -c "! ip netns exec $netns ip -6 route show proto ra | grep -v expires.-"
same "ends when its time is over" "" "$(routes | grep -v 'expires -' || true)"

for with in inside inside13; do
    fresh
    "$with" ip -6 route save proto ra >"$scratch/routes"
    inside ip -6 route flush proto ra
    same "exit code of restore" "0" "$("$with" ip -6 route restore <"$scratch/routes"; echo $?)"
    sleep 4
    same "saved and restored it stays" "default via fe80::1 dev wan0 metric 1024 pref medium" "$(routes)"
done
