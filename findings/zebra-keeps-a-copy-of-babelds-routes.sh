#!/usr/bin/env bash
# FRR 10.3 of Debian 13 started beside babeld: zebra takes babeld's routes for its own of an earlier run, by their protocol
# number, and installs each once more, with metric 20. When babeld withdraws a route, the copy stays for as long as zebra runs, and
# packets go to a router with nothing behind it; `show ip route` calls it a route of Babel, though FRR's own babeld does not run.
# FRR 8.4.4 of Debian 12 makes no copies.
. "$(dirname "$0")/lib.sh"
debian13 frr=10.3-3+deb13u1 babeld=1.13.1+ds-1
inside13 /usr/lib/frr/zebra --version | head -1
inside13 babeld -V 2>&1

second="$netns-2"
trap 'ip netns pids "$second" | xargs -r kill; cleanup; ip netns del "$second"' EXIT
ip netns add "$second"
ip -n "$netns" link add mesh0 type veth peer name mesh1 netns "$second"
for side in "$netns 0" "$second 1"; do
    set -- $side
    ip -n "$1" addr add "192.0.2.$2/24" dev "mesh$2"
    ip -n "$1" link set "mesh$2" up
    ip -n "$1" link set lo up
done
ip -n "$second" addr add 198.51.100.7/32 dev lo

babel() { # INTERFACE
    inside13 babeld -I "/run/$1.pid" -S "/run/$1.state" -c /dev/null -C "redistribute local ip 198.51.100.0/24 allow" \
        -C "redistribute local deny" -h 1 -H 1 "$1" >"$scratch/$1.log" 2>&1
}
netns=$netns babel mesh0 &
netns=$second babel mesh1 &
routes() { inside ip route show 198.51.100.7 | sed 's/nhid [0-9]* //; s/ *$//'; }
routes_are() { # LINES, within a minute
    for _ in $(seq 300); do [ "$(routes | wc -l)" = "$1" ] && return; sleep 0.2; done
}
routes_are 1
same "a route of babeld" "198.51.100.7 via 192.0.2.1 dev mesh0 proto babel onlink" "$(routes)"

: >"$scratch/zebra.conf"
frr13 zebra
routes_are 2
same "beside zebra" "198.51.100.7 via 192.0.2.1 dev mesh0 proto babel onlink
198.51.100.7 via 192.0.2.1 dev mesh0 proto babel metric 20 onlink" "$(routes)"

ip -n "$second" addr del 198.51.100.7/32 dev lo
routes_are 1
copy="198.51.100.7 via 192.0.2.1 dev mesh0 proto babel metric 20 onlink"
same "when babeld has withdrawn it" "$copy" "$(routes)"
sleep 60
same "a minute later" "$copy" "$(routes)"
