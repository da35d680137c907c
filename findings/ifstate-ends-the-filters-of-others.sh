#!/usr/bin/env bash
# `ifstatecli apply` with a file that says nothing of traffic control deletes the clsact qdisc of each interface in the file,
# and with it everybody's filters, so eBPF programs of a load balancer or a guard, on the way in and out; it names the qdisc
# alone, as `ingress`. Neighbour entries that others made go as well. `clear_tc: false` and `clear_neighbours: false` in
# `parameters.defaults` spare them.
. "$(dirname "$0")/lib.sh"
ifstate_wheels
echo "kernel: $(uname -r)"

wire wan0 isp0
cat >"$scratch/config.yml" <<'Y'
interfaces:
  wan0: {addresses: [203.0.113.2/24], link: {kind: veth, peer: isp0, state: up}}
  isp0: {link: {kind: veth, peer: wan0, state: up}}
Y
cat "$scratch/config.yml" - >"$scratch/sparing.yml" <<'Y'
parameters:
  defaults: [{match: [{ifname: ""}], clear_tc: false, clear_neighbours: false}]
Y
ifstate() { # FILE: what apply says of changes
    ifstatecli "$1" apply | sed -n 's/^ *//; s/  */ /g; /203.0.113.1$\|del$/p'
}
filters() {
    inside tc qdisc replace dev wan0 clsact
    for way in ingress egress; do
        inside tc filter replace dev wan0 $way pref 1 handle 1 bpf bytecode "1,6 0 0 4294967295," flowid 1:1
    done
    inside ip neigh replace 203.0.113.1 lladdr 02:00:00:00:00:01 dev wan0
}
state() {
    for way in ingress egress; do inside tc filter show dev wan0 $way 2>/dev/null | sed -n "s/.*handle.*/a filter, $way/p"; done
    inside ip neigh show dev wan0 nud permanent | grep -v ^ff | sed 's/ *$//'
}
all="a filter, ingress
a filter, egress
203.0.113.1 lladdr 02:00:00:00:00:01 PERMANENT"
ifstate config.yml >/dev/null
filters
same "filters on both ways, and a neighbour" "$all" "$(state)"
same "what apply says, told to spare them" "" "$(ifstate sparing.yml)"
same "after that" "$all" "$(state)"
same "what apply says" $'neighbours - 203.0.113.1\ningress del' "$(ifstate config.yml)"
same "after that" "" "$(state)"
