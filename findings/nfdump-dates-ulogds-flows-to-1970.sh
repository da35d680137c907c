#!/usr/bin/env bash
# ulogd's IPFIX gives the times of a connection in seconds and microseconds (flowStartSeconds, flowEndSeconds), which nfcapd does not read: it
# stores each connection as one of 1 January 1970, without a word, so that `nfdump -t` for the time of an abuse report finds nothing. The
# translated address and port are missing as well: ulogd's IPFIX has only the original direction.
. "$(dirname "$0")/lib.sh"
debian13 ulogd2=2.0.8-3 conntrack=1:1.4.8-2 nfdump=1.7.5-2+deb13u1
inside13 ulogd --version 2>&1 | sed -n 's/^\(ulogd.*2[0-9.]*\).*/\1/pI'
inside13 nfdump -V | sed -n 1p
echo "kernel: $(uname -r)"

mkdir "$root13/tmp/flows"
inside13 nfcapd -p 4739 -w /tmp/flows -t 60 >"$scratch/nfcapd.log" 2>&1 &
until_seen grep -q Startup "$scratch/nfcapd.log"
{
    printf '[global]\nlogfile="/tmp/log"\nloglevel=1\n'
    find "$root13" \( -name ulogd_inpflow_NFCT.so -o -name ulogd_output_IPFIX.so \) -printf 'plugin="/%P"\n'
    printf 'stack=ct:NFCT,flows:IPFIX\n[ct]\n[flows]\noid=1\nhost="127.0.0.1"\nport="4739"\nproto="udp"\n'
} >"$root13/tmp/ulogd.conf"
echo 'root:x:0:0::/:/bin/sh' >"$root13/etc/passwd"
inside13 ulogd -c /tmp/ulogd.conf >"$scratch/log" 2>&1 &
until_seen grep -q 'entering main loop' "$root13/tmp/log"
heard() { [ "$(grep -c 'Got new packet' "$root13/tmp/log")" = "$1" ]; }
for number in $(seq 14); do # that fill a packet
    inside13 conntrack -I -p tcp -s 192.168.1.10 -d 192.0.2.80 --sport $((40000 + number)) --dport 443 -r 192.0.2.80 -n 203.0.113.2 \
        --reply-port-src 443 --reply-port-dst $((2000 + number)) --state ESTABLISHED -t 300
    inside13 conntrack -D -p tcp
done >/dev/null 2>&1
until_seen heard 14
times=$(sed -n '/sport = 40001,/s/.*flow = (\([0-9]*\), \([0-9]*\)).*/\1/p' "$root13/tmp/log")
same "the time that ulogd sends is of this hour" yes "$([ $(($(date +%s) - times)) -lt 3600 ] && echo yes)"
end_daemons
until_seen grep -q Terminating "$scratch/nfcapd.log"
stored() { inside13 nfdump -q -R /tmp/flows -o "fmt:$1" "${@:2}" 2>/dev/null | sed 's/  */ /g; s/^ //; s/ *$//'; }
same "the first connection in nfdump, translated to" "0000-00-00 00:00:00.000 192.168.1.10 40001 192.0.2.80 443 0.0.0.0 0" \
    "$(TZ=UTC stored '%ts %sa %sp %da %dp %nsa %nsp' | head -1)"
same "as JSON" '"first" : "1970-01-01T00:00:00.000",' "$(inside13 nfdump -q -R /tmp/flows -c 1 -o json 2>/dev/null | sed -n '/"first"/s/^ *//p')"
same "connections of the years 2020 to 2099" "" "$(stored '%sa' -t 2020/01/01.00:00:00-2099/01/01.00:00:00 | grep 192 || true)"
