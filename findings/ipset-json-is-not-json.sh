#!/usr/bin/env bash
# `ipset list -o json` of Debian 13 (7.22) writes each element with quotes of its own inside those of JSON (`""192.0.2.1""`), in every
# set of addresses or networks, and exits 0: what reads it, such as an exporter, fails at the first element. Sets without
# elements, and sets of sets, are right. 7.24 writes it as it should.
. "$(dirname "$0")/lib.sh"
debian13 ipset=7.22-1+b1
echo "ipset: $(inside13 ipset version)"

read_by_python() { # TYPE [ELEMENT]: its elements
    inside13 ipset create s $1
    if [ -n "${2:-}" ]; then inside13 ipset add s "$2"; fi
    inside13 ipset list s -output json >"$scratch/json"
    echo "exit code $?"
    python3 -c 'import json, sys
try:
    print([m["elem"] for s in json.load(sys.stdin) for m in s["members"]])
except json.JSONDecodeError as error:
    print("not JSON:", error.msg)' <"$scratch/json"
    sed -n 's/^ *\("elem".*\)/\1/p' "$scratch/json"
    inside13 ipset destroy s
}

same "a set without elements" $'exit code 0\n[]' "$(read_by_python hash:ip)"
same "a set of addresses" "exit code 0
not JSON: Expecting ',' delimiter
\"elem\" : \"\"192.0.2.1\"\"" "$(read_by_python hash:ip 192.0.2.1)"
same "a set of networks and interfaces" "exit code 0
not JSON: Expecting ',' delimiter
\"elem\" : \"\"192.0.2.0/24\",lan0\"" "$(read_by_python hash:net,iface 192.0.2.0/24,lan0)"
