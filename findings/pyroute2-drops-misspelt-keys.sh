#!/usr/bin/env bash
# pyroute2 0.9.7 drops keys that it does not know, in silence, from what it sends: a FIB rule whose `src` is misspelt is made
# without it, and catches every packet; a bridge is made without the option that was meant.
. "$(dirname "$0")/lib.sh"
wheel pyroute2==0.9.7

inside python3 - <<'P'
from pyroute2 import IPRoute
with IPRoute() as ipr:
    ipr.rule("add", priority=50, srcc="10.0.0.0/8", table=10)
    ipr.link("add", ifname="br0", kind="bridge", br_forward_dealy=400)
P
same "from 10.0.0.0/8, misspelt" "50:	from all lookup 10" "$(inside ip rule list pref 50)"
same "a forward delay of 4 s, misspelt" "forward_delay 1500" "$(inside ip -d link show br0 | grep -o 'forward_delay [0-9]*')"
