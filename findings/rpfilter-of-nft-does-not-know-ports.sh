#!/usr/bin/env bash
# A FIB rule leads one port over a second uplink (`ipproto tcp dport 8080`), and the answers come back by it. The kernel's strict rp_filter lets
# them in: it asks for the way back with the ports of the packet turned around. The same check in the firewall, `fib saddr . iif oif missing drop`
# of nft or `-m rpfilter` of iptables, with which rp_filter is commonly replaced, asks for a packet without ports, finds the other
# uplink, and drops every answer. Nothing that the rule leads there can connect any more, by IPv4 or IPv6. A rule by protocol alone is
# known to nft and ip6tables, and not to iptables.
. "$(dirname "$0")/lib.sh"
deb iproute2=6.1.0-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 iptables=1.8.9-2 libxtables12=1.8.9-2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3
debian13 nftables=1.1.3-1
iptables() { XTABLES_LIBDIR=$(dirname "$(find "$root" -name libxt_rpfilter.so)") inside "$root/usr/sbin/xtables-nft-multi" "$@"; }
echo "nft: $(inside nft --version), $(inside13 nft --version); $(iptables iptables --version); kernel $(uname -r)"

internet="$netns-internet"
ip netns add "$internet"
trap 'ip netns pids "$internet" | xargs -r kill; ip netns del "$internet"; cleanup' EXIT
ip -n "$internet" link set lo up
ip -n "$internet" addr add 203.0.113.1/32 dev lo
ip -n "$internet" addr add 2001:db8:ff::1/128 dev lo
for number in 0 1; do
    inside ip link add "wan$number" type veth peer name "isp$number" netns "$internet"
    inside ip link set "wan$number" up
    ip -n "$internet" link set "isp$number" up
    inside ip addr add "192.0.2.$((number * 128 + 2))/25" dev "wan$number"
    ip -n "$internet" addr add "192.0.2.$((number * 128 + 1))/25" dev "isp$number"
    inside ip -6 addr add "2001:db8:$number::2/64" dev "wan$number" nodad
    ip -n "$internet" addr add "2001:db8:$number::1/64" dev "isp$number" nodad
    inside sysctl -qw "net.ipv4.conf.wan$number.rp_filter=1"
done
for family in -4 -6; do
    gateway=([0]=192.0.2.1 [1]=192.0.2.129)
    if [ $family = -6 ]; then gateway=([0]=2001:db8:0::1 [1]=2001:db8:1::1); fi
    inside ip $family route add default via "${gateway[0]}"
    inside ip $family route add default via "${gateway[1]}" table 7
done
rule() { for family in -4 -6; do
    inside ip $family rule del pref 100 2>/dev/null || true
    inside ip $family rule add pref 100 "$@" lookup 7
done; }
ip netns exec "$internet" python3 - <<'P' &
import socket

with socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    while True:
        server.accept()[0].close()
P
connects() {
    inside python3 - <<'P'
import socket

for address in ("203.0.113.1", "2001:db8:ff::1"):
    try:
        with socket.create_connection((address, 8080), timeout=2) as sock:
            print("from", sock.getsockname()[0])
    except TimeoutError:
        print("no answer")
P
}
until_seen inside python3 -c 'import socket; socket.create_connection(("203.0.113.1", 8080), 1)'

none="no answer
no answer"
second="from 192.0.2.130
from 2001:db8:1::2"
for rule in "ipproto tcp dport 8080" "ipproto tcp" "from all"; do
    # shellcheck disable=SC2086 # several words
    rule $rule
    case $rule in
        *dport*) by_nft=$none by_iptables=$none ;;
        ipproto*) by_nft=$second by_iptables="no answer
from 2001:db8:1::2" ;;
        *) by_nft=$second by_iptables=$second ;;
    esac
    same "$rule: with rp_filter=1" "$second" "$(connects)"
    for nft in "inside nft" "inside13 nft"; do
        $nft 'table inet t { chain c { type filter hook prerouting priority raw; fib saddr . iif oif missing drop; }; }'
        same "$rule: and the check of $nft" "$by_nft" "$(connects)"
        $nft delete table inet t
    done
    for iptables in iptables ip6tables; do iptables $iptables -t raw -A PREROUTING -m rpfilter --invert -j DROP; done
    same "$rule: and that of iptables and ip6tables" "$by_iptables" "$(connects)"
    for iptables in iptables ip6tables; do iptables $iptables -t raw -F; done
done
