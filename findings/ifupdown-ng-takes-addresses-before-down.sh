#!/usr/bin/env bash
# The usual lines for a second uplink, `up ip route add default ... table 7` with its `down ip route del`, and a FIB rule likewise. ifupdown runs
# `down` before it takes the address, as its manual says. ifupdown-ng, which reads the same file, takes address and link first, and with
# them the kernel's routes: the first `down` fails, the ones behind it are not run, and the rule stays. `ifdown` exits 1, and the
# interface, which has no address any more, counts as up: `ifup` exits 0 and does nothing.
. "$(dirname "$0")/lib.sh"
deb ifupdown=0.8.41 iproute2=6.1.0-3
debian13 ifupdown-ng=0.12.1-7 iproute2=6.15.0-1 dash coreutils debianutils
echo "$(inside ifup --version | sed -n 1p), $(inside13 ifup-ng --version | sed -n 1p), kernel $(uname -r)"

wire wan0 isp0
mkdir -p "$root13/etc/network" "$scratch/run/network"
tee "$scratch/interfaces" >"$root13/etc/network/interfaces" <<'I'
auto wan0
iface wan0 inet static
    address 203.0.113.2/24
    up ip route add default via 203.0.113.1 table 7
    up ip rule add pref 100 from 203.0.113.2 lookup 7
    down ip route del default table 7
    down ip rule del pref 100
I
# ifup or ifdown of either, and what is there afterwards
after() { # COMMAND...
    local code=0
    "$@" wan0 >"$scratch/log" 2>&1 || code=$?
    echo "exit $code"
    inside ip -4 -o addr show dev wan0 | sed 's/.*inet \([^ ]*\).*/address \1/'
    inside ip route show table 7 2>/dev/null | sed 's/ *$//'
    inside ip rule show pref 100 | sed 's/\t/ /'
}
classic() { # COMMAND INTERFACE: with a /run of its own
    inside unshare -m sh -c 'mount --bind "$1" /run && shift && exec "$@"' - "$scratch/run" "$1" --no-scripts -i "$scratch/interfaces" "$2"
}
all_there='exit 0
address 203.0.113.2/24
default via 203.0.113.1 dev wan0
100: from 203.0.113.2 lookup 7'
same "ifupdown: up" "$all_there" "$(after classic ifup)"
same "ifupdown: down" "exit 0" "$(after classic ifdown)"
same "ifupdown-ng: up" "$all_there" "$(after inside13 ifup-ng)"
same "ifupdown-ng: down" "exit 1
100: from 203.0.113.2 lookup 7" "$(after inside13 ifdown-ng)"
same "ifupdown-ng: up again" "exit 0
100: from 203.0.113.2 lookup 7" "$(after inside13 ifup-ng)"
