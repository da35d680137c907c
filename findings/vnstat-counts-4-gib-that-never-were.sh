#!/usr/bin/env bash
# vnstatd takes an interface that was made again (as a tunnel is at each reconnect) for one whose 32-bit counter has passed its
# end, and adds 4 GiB less what it counted before. Only what is more than MaxBandwidth allows in that time is left out: at 1000
# Mbit it drops these 4 GiB with all that was really sent, at 10000 Mbit it keeps them.
. "$(dirname "$0")/lib.sh"
debian13 vnstat=2.13-1
inside13 vnstat --version | sed -n 's/^\(vnStat [0-9.]*\).*/\1/p'
echo "kernel: $(uname -r)"

printf '%s\n' 'DatabaseDir "/tmp/db"' 'UseLogging 0' 'MaxBandwidth 10000' 'BandwidthDetection 0' 'UpdateInterval 10' 'PollInterval 2' 'SaveInterval 1' 'OfflineSaveInterval 1' >"$root13/tmp/vnstat.conf"
mkdir "$root13/tmp/db"
send() { # ABOUT: as many megabytes, to a neighbour who is not there
    inside ip addr add 192.0.2.1/24 dev wan0
    inside ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev wan0
    inside python3 -c "
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range($1 * 1000):
        sender.sendto(bytes(972), ('192.0.2.2', 9))"
}
counted() { # megabytes sent, by vnstat
    inside13 vnstat --config /tmp/vnstat.conf -i wan0 --json s 2>/dev/null |
        python3 -c 'import json, sys; print(round(json.load(sys.stdin)["interfaces"][0]["traffic"]["total"]["tx"] / 1e6))'
}
counts() { [ "$(counted)" "$1" "$2" ]; }
until_counted() { for _ in $(seq 12); do counts "$@" && return; sleep 10; done; }

wire wan0 isp0
inside13 vnstatd --nodaemon --config /tmp/vnstat.conf >"$scratch/log" 2>&1 &
until_seen inside13 vnstat --config /tmp/vnstat.conf -i wan0 --oneline
send 20
until_counted -ge 20
same "megabytes sent" "20" "$(counted)"
inside ip link del wan0
wire wan0 isp0
send 5
until_counted -gt 20
same "after the interface was made again, and 5 more" "4300" "$(counted)"
