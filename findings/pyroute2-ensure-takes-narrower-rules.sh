#!/usr/bin/env bash
# `IPRoute.ensure(ip.rule, present=True, ...)` makes what it is given true before it returns, if only by waiting. It takes a rule for one network,
# or one mark, for the rule for every packet that it was to make, returns that one, and adds nothing.
# With `present=False` it cannot delete it either: after ten seconds it raises a TimeoutError.
. "$(dirname "$0")/lib.sh"
wheel pyroute2==0.9.7
echo "kernel: $(uname -r)"

inside ip rule add pref 100 from 192.168.1.0/24 fwmark 5 lookup 100
inside python3 - >"$scratch/said" <<'P'
from pyroute2 import IPRoute

with IPRoute() as ip:
    for wanted in ({"table": 100}, {"table": 100, "priority": 100}, {"table": 100, "fwmark": 5}):
        rule, *others = ip.ensure(ip.rule, present=True, **wanted)
        print(wanted, "->", rule.get("priority"), rule.get("src"), rule.get("fwmark"), *others)
    try:
        ip.ensure(ip.rule, present=False, table=100)
    except TimeoutError:
        print("to be absent: TimeoutError")
P
same "rules to ensure, and what was found" "{'table': 100} -> 100 192.168.1.0 5
{'table': 100, 'priority': 100} -> 100 192.168.1.0 5
{'table': 100, 'fwmark': 5} -> 100 192.168.1.0 5
to be absent: TimeoutError" "$(cat "$scratch/said")"
same "the rules" "0: from all lookup local
100: from 192.168.1.0/24 fwmark 0x5 lookup 100
32766: from all lookup main
32767: from all lookup default" "$(inside ip rule | tr '\t' ' ')"
