#!/usr/bin/env bash
# IfState compares of a FIB rule or route in the kernel only what its file says of it. A rule that someone has narrowed (`not`, a mark,
# a source, ports, suppress_prefixlength) is the rule of the file to it, and so is a route that has got a gateway: `check` and
# `apply` say ok, and leave them, while a rule that the file does not have is deleted.
. "$(dirname "$0")/lib.sh"
ifstate_wheels
echo "kernel: $(uname -r)"

wire wan0 isp0
cat >"$scratch/config.yml" <<'Y'
interfaces:
  wan0: {addresses: [203.0.113.2/24], link: {kind: veth, peer: isp0, state: up}}
  isp0: {link: {kind: veth, peer: wan0, state: up}}
routing:
  routes:
    - {to: 198.51.100.0/24, dev: wan0}
    - {to: 0.0.0.0/0, via: 203.0.113.1, dev: wan0, table: 100}
  rules:
    - {priority: 100, table: 100}
    - {priority: 200, from: 192.168.1.0/24, table: 100}
Y
ifstate() { # ACTION: what it says of routes and rules
    ifstatecli config.yml "$1" | sed -n '/^configure routing/,$p' | sed '1d; s/^ *//; s/  */ /g'
}
state() {
    inside ip rule list | sed -n 's/\t/ /; /^[1-3]00:/p'
    inside ip route list 198.51.100.0/24 | sed 's/ *$//'
}

ifstate apply >/dev/null
same "rules and a route, as the file says" \
"100: from all lookup 100
200: from 192.168.1.0/24 lookup 100
198.51.100.0/24 dev wan0" "$(state)"
inside ip rule del pref 100
inside ip rule add pref 100 not from 10.9.9.0/24 fwmark 0x5/0xff lookup 100
inside ip rule del pref 200
inside ip rule add pref 200 from 192.168.1.0/24 ipproto tcp dport 22 lookup 100 suppress_prefixlength 0
inside ip rule add pref 300 lookup 100
inside ip route replace 198.51.100.0/24 via 203.0.113.66 dev wan0
said="main = 198.51.100.0/24
100 = 0.0.0.0/0
#100 ok
#200 ok
#300 (inet) del"
same "what check says, after all of them were changed and one rule added" "$said" "$(ifstate check)"
same "what apply says" "$said" "$(ifstate apply)"
same "after apply" \
"100: not from 10.9.9.0/24 fwmark 0x5/0xff lookup 100
200: from 192.168.1.0/24 ipproto tcp dport 22 lookup 100 suppress_prefixlength 0
198.51.100.0/24 via 203.0.113.66 dev wan0" "$(state)"
