#!/usr/bin/env bash
# ulogd's log of connections as JSON (`stack=ct:NFCT,json:JSON`) has ports, protocol and mark of both directions and not one
# address: they are of a type that its JSON does not write, which it does not say. With IP2STR between the two they are there,
# those of the original direction under other names (src_ip, dest_ip) than those of the translated one (reply.ip.daddr.str).
. "$(dirname "$0")/lib.sh"
debian13 ulogd2=2.0.8-3 ulogd2-json=2.0.8-3 conntrack=1:1.4.8-2
inside13 ulogd --version 2>&1 | sed -n 's/^\(ulogd.*2[0-9.]*\).*/\1/pI'
echo "kernel: $(uname -r)"

{
    printf '[global]\nlogfile="/tmp/log"\n'
    for plugin in inpflow_NFCT filter_IP2STR output_JSON; do
        find "$root13" -name "ulogd_$plugin.so" -printf 'plugin="/%P"\n'
    done
    printf 'stack=ct1:NFCT,json1:JSON\nstack=ct2:NFCT,text:IP2STR,json2:JSON\n[ct1]\n[ct2]\n'
    printf '[json%s]\nfile="/tmp/%s.json"\nsync=1\n' 1 plain 2 text
} >"$root13/tmp/ulogd.conf"
echo 'root:x:0:0::/:/bin/sh' >"$root13/etc/passwd"
inside13 ulogd -c /tmp/ulogd.conf >"$scratch/log" 2>&1 &

logged() { # NAME: what the record says of addresses and ports
    python3 -c 'import json, sys
record = json.loads(sys.stdin.readline())
for name in sorted(record):
    if "l4" in name or "ip.saddr" in name or "ip.daddr" in name or name.endswith("_ip"):
        print(name, record[name])' <"$root13/tmp/$1.json"
}
connection() { # comes and goes
    inside13 conntrack -I -p tcp -s 192.168.1.10 -d 192.0.2.80 --sport 40000 --dport 443 -r 192.0.2.80 -n 203.0.113.2 \
        --reply-port-src 443 --reply-port-dst 2000 --state ESTABLISHED -t 300
    inside13 conntrack -D -p tcp
    [ -s "$root13/tmp/text.json" ]
}
until_seen connection
ports="orig.l4.dport 443
orig.l4.sport 40000
reply.l4.dport 2000
reply.l4.sport 443"
same "a translated connection in JSON" "$ports" "$(logged plain)"
same "with IP2STR" "dest_ip 192.0.2.80
${ports/reply.l4.dport/reply.ip.daddr.str 203.0.113.2
reply.ip.saddr.str 192.0.2.80
reply.l4.dport}
src_ip 192.168.1.10" "$(logged text)"
