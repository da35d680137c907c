#!/usr/bin/env bash
# `ip rule add` (and pyroute2) answer "File exists" for a rule that does not exist: one without a source, destination or
# TOS, where another one of the same priority has it. In the other order both are there. `ip rule del` has the same blind
# spot the other way round: it deletes the narrower rule, if that was made first.
#
# The kernel compares a source only if the request names one: fib4_rule_compare() serves rule_exists() and rule_find() in
# net/core/fib_rules.c. NLM_F_EXCL, which both tools set, makes an error of it.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
wheel pyroute2==0.9.7
echo "kernel: $(uname -r)"

narrow="pref 100 from 192.0.2.0/24 to 198.51.100.0/24 lookup 7"
wide="pref 100 to 198.51.100.0/24 lookup 7"
rules() { inside ip rule list pref 100; }

inside ip rule add $narrow
same "the wide rule is refused behind the narrow one" \
    "RTNETLINK answers: File exists" "$(inside ip rule add $wide 2>&1 || true)"
same "and so it is by pyroute2" "17" "$(inside python3 - <<'P' || true
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
with IPRoute() as ipr:
    try:
        ipr.rule("add", priority=100, dst="198.51.100.0/24", table=7)
    except NetlinkError as error:
        print(error.code)
P
)"
inside ip rule del $narrow

inside ip rule add $wide
inside ip rule add $narrow
same "in the other order both are there" "2" "$(rules | wc -l)"
inside ip rule flush

inside ip rule add pref 100 to 198.51.100.0/24 ipproto tcp lookup 7
inside ip rule add $wide
inside ip rule del $wide
same "deleting the wide rule leaves it, and takes the narrow one" \
    "100:	from all to 198.51.100.0/24 lookup 7" "$(rules)"
