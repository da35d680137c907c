#!/usr/bin/env bash
# `ip rule add dscp ef`, in the small letters in which nft and iptables have the class, makes a rule for DSCP 59 and exits 0:
# only the capital `EF` is a name, and `ef` is read as the hexadecimal value of the whole DS field. `be`, which is 0, becomes
# 47. Other classes in small letters, `cs1` or `af41`, are refused. So voice that nft marked `ef` does not take the way of its
# rule.
. "$(dirname "$0")/lib.sh"
debian13 iproute2=6.15.0-1 nftables=1.1.3-1
inside13 ip -V
inside13 nft --version
echo "kernel: $(uname -r)"

made() { # DSCP: the rule for it
    if inside13 ip rule add pref 100 dscp "$1" lookup 7 2>/dev/null; then
        echo "$1: exit code 0, dscp $(inside13 ip -N rule list pref 100 | sed 's/.*dscp //; s/ *$//')"
        inside13 ip rule del pref 100
    else
        echo "$1: refused"
    fi
}
same "rules by DSCP" "EF: exit code 0, dscp 46
46: exit code 0, dscp 46
ef: exit code 0, dscp 59
be: exit code 0, dscp 47
cs1: refused
af41: refused" "$(for class in EF 46 ef be cs1 af41; do made $class; done)"
wire wan0 isp0
inside ip addr add 203.0.113.2/24 dev wan0
inside ip route add default via 203.0.113.1
inside ip route add default via 203.0.113.254 table 7
way() { inside ip route get 198.51.100.80 tos 0xb8 | grep -o 'via [0-9.]*'; }
inside13 nft 'table ip t { chain c { ip dscp set ef; }; }'
same "what nft means by ef" "0xb8" "$(inside13 nft --debug=netlink list ruleset | sed -n 's/.*0x0000\(..\)00 \].*/0x\1/p' | head -1)"
inside13 ip rule add pref 100 dscp ef lookup 7
same "the way of packets with that, by a rule for ef" "via 203.0.113.1" "$(way)"
inside13 ip rule add pref 101 dscp EF lookup 7
same "by a rule for EF" "via 203.0.113.254" "$(way)"
