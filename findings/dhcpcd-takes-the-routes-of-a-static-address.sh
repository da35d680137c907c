#!/usr/bin/env bash
# dhcpcd on an interface that has an address and a default route of another program, as an uplink with a fixed and a leased
# address: with the lease it deletes that default route, though its own has a worse metric, and the kernel's route to the
# network. When it ends it takes its own routes along: the fixed address is left without a route to its own network. Default
# routes by other interfaces stay.
. "$(dirname "$0")/lib.sh"
debian13 dhcpcd-base=1:10.1.0-11+deb13u5 dnsmasq-base=2.91-1+deb13u2
inside13 dhcpcd --version | sed -n 1p
inside13 dnsmasq --version | sed -n 's/^\(Dnsmasq version [0-9.]*\).*/\1/p'
echo "kernel: $(uname -r)"

provider="$netns-isp"
trap 'ip netns pids "$provider" | xargs -r kill; cleanup; ip netns del "$provider"' EXIT
ip netns add "$provider"
ip -n "$netns" link add wan0 type veth peer name isp0 netns "$provider"
inside ip link set wan0 up
ip -n "$provider" link set isp0 up
ip -n "$provider" addr add 203.0.113.1/24 dev isp0
wire wan1 isp1
mkdir -p "$root13"/var/lib/dhcpcd "$root13"/run/dhcpcd
echo 'root:x:0:0::/:/bin/sh' >"$root13/etc/passwd"
echo 'root:x:0:' >"$root13/etc/group"
printf 'noipv4ll\nnoipv6rs\nnohook resolv.conf\nipv4only\n' >"$root13/tmp/dhcpcd.conf"
netns=$provider inside13 dnsmasq -k -C /dev/null --port=0 --interface=isp0 --dhcp-range=203.0.113.100,203.0.113.100,120 --user=root \
    --pid-file=/run/dnsmasq.pid --dhcp-leasefile=/tmp/leases >"$scratch/dnsmasq.log" 2>&1 &

state() {
    inside ip -4 -br addr show dev wan0 | grep -o '203[0-9./]*' | sed 's/^/address /'
    inside ip route list | sed 's/ *$//'
}
static="address 203.0.113.50/24
default via 203.0.113.254 dev wan0 metric 5
default via 198.51.100.1 dev wan1 metric 6
198.51.100.0/24 dev wan1 proto kernel scope link src 198.51.100.2
203.0.113.0/24 dev wan0 proto kernel scope link src 203.0.113.50"
inside ip addr add 203.0.113.50/24 dev wan0
inside ip route add default via 203.0.113.254 metric 5
inside ip addr add 198.51.100.2/24 dev wan1
inside ip route add default via 198.51.100.1 metric 6
same "before" "$static" "$(state)"
inside13 dhcpcd -B -f /tmp/dhcpcd.conf wan0 >"$scratch/dhcpcd.log" 2>&1 &
leased() { state | grep -q 'default.*proto dhcp'; }
until_seen leased
same "with the lease" "address 203.0.113.50/24
address 203.0.113.100/24
default via 198.51.100.1 dev wan1 metric 6
default via 203.0.113.1 dev wan0 proto dhcp src 203.0.113.100 metric N
198.51.100.0/24 dev wan1 proto kernel scope link src 198.51.100.2
203.0.113.0/24 dev wan0 proto dhcp scope link src 203.0.113.100 metric N" "$(state | sed 's/metric [0-9]\{2,\}/metric N/')"
ip netns pids "$netns" | xargs kill
ended() { [ -z "$(ip netns pids "$netns")" ]; }
until_seen ended
same "after dhcpcd has ended" "address 203.0.113.50/24
default via 198.51.100.1 dev wan1 metric 6
198.51.100.0/24 dev wan1 proto kernel scope link src 198.51.100.2" "$(state)"
