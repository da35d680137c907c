#!/usr/bin/env bash
# Backends of an nftlb farm have a port each, or none, which leaves the client's as it is. One backend without a port takes the ports of all others
# away: their connections go to the port that the client asked, where another service may answer. The API says "success", and
# goes on to list the port of each.
. "$(dirname "$0")/lib.sh"
debian13 nftlb=1.0.7-1+b2 nftables=1.1.3-1 netbase=6.5
inside13 nftlb --help 2>&1 | sed -n 1p
echo "kernel: $(uname -r)"

inside13 nftlb -k secret -H 127.0.0.1 -P 5555 >"$scratch/log" 2>&1 &
cat >"$scratch/api.py" <<'P'
import sys
import urllib.request

method, path, *body = sys.argv[1:]
request = urllib.request.Request(f"http://127.0.0.1:5555{path}", body[0].encode() if body else None, {"Key": "secret"}, method=method)
print(urllib.request.urlopen(request, timeout=5).read().decode())
P
api() { inside python3 "$scratch/api.py" "$@"; }
until_seen api GET /farms
farm() { # PORT...: of 192.168.1.80, 192.168.1.81 ...
    local backends="" number=80
    for port in "$@"; do
        backends+="${backends:+,}{\"name\": \"b$number\", \"ip-addr\": \"192.168.1.$number\", \"port\": \"$port\", \"state\": \"up\"}"
        number=$((number + 1))
    done
    api PUT /farms "{\"farms\": [{\"name\": \"web\", \"family\": \"ipv4\", \"virtual-addr\": \"203.0.113.2\", \"virtual-ports\": \"80\",
        \"mode\": \"dnat\", \"protocol\": \"tcp\", \"scheduler\": \"rr\", \"state\": \"up\", \"backends\": [$backends]}]}"
    api GET /farms/web | sed -n 's/^[ \t]*\("port": ".*"\),$/\1/p'
    inside13 nft list chain ip nftlb nat-web | sed -n 's/.*map { \(.*\) }/\1/p'
    api DELETE /farms/web >/dev/null
}
same "two backends with ports: the API, and nft" '{"response": "success"}
"port": "8080"
"port": "8081"
0x00000001 : 192.168.1.80 . 8080, 0x00000002 : 192.168.1.81 . 8081' "$(farm 8080 8081)"
same "a third one without" '{"response": "success"}
"port": "8080"
"port": "8081"
"port": ""
0x00000001 : 192.168.1.80, 0x00000002 : 192.168.1.81, 0x00000003 : 192.168.1.82' "$(farm 8080 8081 '')"
