#!/usr/bin/env bash
# `ip import-table 100` has FRR take the routes of a kernel table into its own. Of two to one network, a main one and one with a higher
# metric for when that fails, it takes the one with the higher metric, whichever was added first, and installs it in `main`. Where that one is
# deleted the network is no longer reached by `main` at all, although the better route stands in the table as before.
. "$(dirname "$0")/lib.sh"
debian13 frr=10.3-3+deb13u1 iproute2=6.15.0-1 netbase=6.5
inside13 /usr/lib/frr/zebra --version | sed -n 1p
echo "kernel: $(uname -r)"

wire wan0 isp0
wire wan1 isp1
inside ip addr add 203.0.113.2/24 dev wan0
inside ip addr add 198.51.100.2/24 dev wan1
add() { inside ip route add "$1" via "$2" metric "$3" table 100; }
add 10.1.0.0/16 203.0.113.1 50
add 10.1.0.0/16 198.51.100.1 60
add 10.2.0.0/16 198.51.100.1 60
add 10.2.0.0/16 203.0.113.1 50
echo 'ip import-table 100' >"$scratch/zebra.conf"
frr13 zebra
imported() { inside13 ip route show proto zebra | sed 's/ nhid [0-9]*//; s/ *$//'; }
shows() { [ "$(imported)" = "$1" ]; }
both="10.1.0.0/16 via 198.51.100.1 dev wan1 metric 20
10.2.0.0/16 via 198.51.100.1 dev wan1 metric 20"
until_seen shows "$both"
same "of metrics 50 by 203.0.113.1 and 60 by 198.51.100.1, in main" "$both" "$(imported)"
inside ip route del 10.1.0.0/16 metric 60 table 100
until_seen shows "${both#*$'\n'}"
sleep 3 # for what zebra might do
same "with the second route to 10.1.0.0/16 deleted, in main" "${both#*$'\n'}" "$(imported)"
same "and in the table" "10.1.0.0/16 via 203.0.113.1 dev wan0 metric 50" "$(inside ip route show table 100 10.1.0.0/16 | sed 's/ *$//')"
