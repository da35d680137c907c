#!/usr/bin/env bash
# Rules by DSCP, by a mask of ports or by flow label, which iproute2 has had since 2024 and 2025, are listed by `ip rule` of
# Debian 12 as rules without that condition, in text and JSON: as if they caught every packet. So are they by pyroute2 0.9.7. A
# rule for every packet at the same priority, which the listing shows, is not there, and to delete it takes the rule by DSCP.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3
debian13 iproute2=6.15.0-1
wheel pyroute2==0.9.7
echo "Debian 12: $(inside ip -V)"
echo "Debian 13: $(inside13 ip -V)"
echo "kernel: $(uname -r)"

inside13 ip rule add pref 100 dscp EF lookup 7
inside13 ip rule add pref 101 ipproto 6 dport 0x1000/0xf000 lookup 7
inside13 ip -6 rule add pref 102 flowlabel 0x5/0xf lookup 7
listed() { # COMMAND...: ip
    { "$@" rule list; "$@" -6 rule list; } | sed -n 's/\t/ /; s/ipproto-6/tcp/; s/ *$//; /^10[0-9]:/p'
}
same "by 6.15" "100: from all lookup 7 dscp EF
101: from all ipproto tcp dport 0x1000/0xf000 lookup 7
102: from all lookup 7 flowlabel 0x5/0xf" "$(listed inside13 ip)"
same "by 6.1" "100: from all lookup 7
101: from all ipproto tcp dport 4096 lookup 7
102: from all lookup 7" "$(listed inside ip)"
same "by 6.1, in JSON" '[{"priority":100,"src":"all","table":"7"}]' "$(inside ip -j rule list pref 100)"
same "what pyroute2 has names for" "FRA_PRIORITY FRA_PROTOCOL FRA_SUPPRESS_PREFIXLEN FRA_TABLE" "$(inside python3 - <<'P'
from pyroute2 import IPRoute

with IPRoute() as ipr:
    (rule,) = [rule for rule in ipr.get_rules() if rule.get("priority") == 100 or rule.get_attr("FRA_PRIORITY") == 100]
print(*sorted(name for name, _ in rule["attrs"] if name.startswith("FRA_")))
P
)"
inside ip rule del pref 100 lookup 7
same "by 6.15, after 6.1 has deleted the rule for every packet" "101: from all ipproto tcp dport 0x1000/0xf000 lookup 7
102: from all lookup 7 flowlabel 0x5/0xf" "$(listed inside13 ip)"
