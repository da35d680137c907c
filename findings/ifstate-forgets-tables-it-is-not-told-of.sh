#!/usr/bin/env bash
# IfState deletes routes that its file no longer has, from `main` and from each table that the file still names. With the last
# route of another table taken out of the file, the table is left as it is: its rules are deleted, its routes stay, and `check`
# says nothing of them. A rule that leads there later, by whom ever, finds the old provider.
. "$(dirname "$0")/lib.sh"
ifstate_wheels
echo "kernel: $(uname -r)"

wire wan0 isp0
file() { # ROUTES RULES
    cat >"$scratch/config.yml" <<Y
interfaces:
  wan0: {addresses: [203.0.113.2/24], link: {kind: veth, peer: isp0, state: up}}
  isp0: {link: {kind: veth, peer: wan0, state: up}}
routing:
  routes: [$1]
  rules: [$2]
Y
}
ifstate() { # ACTION: what it says of routes and rules
    ifstatecli config.yml "$1" | sed -n '/^configure routing/,$p' | sed '1d; s/^ *//; s/  */ /g'
}
state() {
    inside ip rule list | sed -n 's/\t/ /; /^[1-3]00:/p'
    inside ip route list 198.51.100.0/24 | sed 's/^/main: /; s/ *$//'
    for table in 7 8; do inside ip route list table $table 2>/dev/null | sed "s/^/table $table: /; s/ *\$//"; done
}

seven="{to: 0.0.0.0/0, via: 203.0.113.1, dev: wan0, table: 7}"
eight="{to: 0.0.0.0/0, via: 203.0.113.1, dev: wan0, table: 8}"
file "{to: 198.51.100.0/24, via: 203.0.113.1}, $seven, $eight, {to: 192.0.2.0/24, via: 203.0.113.1, table: 8}" \
    "{priority: 100, table: 7}, {priority: 200, table: 8}"
ifstate apply >/dev/null
same "applied" \
"100: from all lookup 7
200: from all lookup 8
main: 198.51.100.0/24 via 203.0.113.1 dev wan0
table 7: default via 203.0.113.1 dev wan0
table 8: default via 203.0.113.1 dev wan0
table 8: 192.0.2.0/24 via 203.0.113.1 dev wan0" "$(state)"
file "$eight" "{priority: 200, table: 8}"
same "what apply says, with one route of table 8 and all else taken out of the file" \
"main - 198.51.100.0/24
8 = 0.0.0.0/0
8 - 192.0.2.0/24
#200 ok
#100 (inet) del" "$(ifstate apply)"
same "after that" \
"200: from all lookup 8
table 7: default via 203.0.113.1 dev wan0
table 8: default via 203.0.113.1 dev wan0" "$(state)"
same "what check says" $'8 = 0.0.0.0/0\n#200 ok' "$(ifstate check)"
