#!/usr/bin/env bash
# FireHOL's iprange, which prepares block lists for ipset and nft, makes an IPv4 address of the first digits of an IPv6 one,
# leaves out what follows a comma, reads zero-padded addresses (as some lists write them) as octal, and exits 0 with all of
# them, also where it skips a line that it says it cannot read. So a list of IPv6 addresses blocks addresses in 0.0.0.0/8, and
# one of 010.x blocks other hosts.
. "$(dirname "$0")/lib.sh"
debian13 iprange=1.0.4+ds-2
{ inside13 iprange --version || true; } | sed -n 1p

merged() { # LINES: what iprange makes of them
    printf '%b\n' "$1" >"$root13/tmp/list"
    inside13 iprange /tmp/list 2>/dev/null
    echo "exit code $?"
}
same "IPv6 addresses" $'0.0.7.209\n0.0.9.96\nexit code 0' "$(merged '2001:db8::1\n2400:cb00::1')"
same "two addresses and a comma" $'192.0.2.4\nexit code 0' "$(merged '192.0.2.4,192.0.2.8')"
same "zero-padded addresses" $'8.8.8.1\n192.0.2.7\nexit code 0' "$(merged '010.010.010.001\n192.000.002.007')"
same "a line that it cannot read" $'192.0.2.1\n198.51.100.1\nexit code 0' "$(merged '192.0.2.1\n10.0.0.0/33\n198.51.100.1')"
