#!/usr/bin/env bash
# radvd announces the prefix of an interface's address (`prefix ::/64`), and is told to deprecate prefixes (`DeprecatePrefix on`). When the
# provider delegates another one, it announces that from the next advertisement on and says nothing of the old one: hosts
# keep it as preferred as the new. When radvd ends, it deprecates the new prefix alone, so hosts then send all from the one that
# has gone.
. "$(dirname "$0")/lib.sh"
debian13 radvd=1:2.20-1+b1
{ inside13 radvd --version 2>&1 || true; } | sed -n "s/Version:/radvd/p"
echo "kernel: $(uname -r)"

host="$netns-host"
trap 'cleanup; ip netns del "$host"' EXIT
ip netns add "$host"
ip -n "$netns" link add lan0 type veth peer name eth0 netns "$host"
ip netns exec "$host" sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip -n "$host" link set eth0 up
ip -n "$netns" link set lan0 up
inside sysctl -qw net.ipv6.conf.all.forwarding=1
cat >"$root13/tmp/radvd.conf" <<'C'
interface lan0 {
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix ::/64 {
        AdvValidLifetime 3600;
        AdvPreferredLifetime 1800;
        DeprecatePrefix on;
    };
};
C
addresses() { # of the host
    ip -n "$host" -6 addr show dev eth0 scope global |
        sed -n 's/.*inet6 2001:db8:\([12]\):.*deprecated.*/prefix \1 deprecated/p; s/.*inet6 2001:db8:\([12]\):.*/prefix \1 preferred/p' | sort
}
has() { addresses | grep -qx "$1"; }

inside ip addr add 2001:db8:1::1/64 dev lan0 nodad
inside13 radvd -n -C /tmp/radvd.conf -p /run/radvd.pid -m stderr >"$scratch/radvd.log" 2>&1 &
until_seen has "prefix 1 preferred"
same "addresses of a host" "prefix 1 preferred" "$(addresses)"
inside ip addr del 2001:db8:1::1/64 dev lan0
inside ip addr add 2001:db8:2::1/64 dev lan0 nodad
until_seen has "prefix 2 preferred"
sleep 9 # two advertisements and more
same "after the prefix has changed" $'prefix 1 preferred\nprefix 2 preferred' "$(addresses)"
inside kill "$(cat "$root13/run/radvd.pid")"
until_seen has "prefix 2 deprecated"
same "after radvd has ended" $'prefix 1 preferred\nprefix 2 deprecated' "$(addresses)"
