#!/usr/bin/env bash
# nftlb reads a request key by key, and does what each says. Where it refuses one for an unknown key, with status 500, what stood before that key
# remains: a farm without the backends that came after it. The next request for that farm, valid and answered by "success", puts it
# into nft, where its packets go to no backend but to the gateway itself.
. "$(dirname "$0")/lib.sh"
debian13 nftlb=1.0.7-1+b2 nftables=1.1.3-1 netbase=6.5
inside13 nftlb --help 2>&1 | sed -n 1p
echo "kernel: $(uname -r)"

inside13 nftlb -k secret -H 127.0.0.1 -P 5555 >"$scratch/log" 2>&1 &
cat >"$scratch/api.py" <<'P'
import sys
import urllib.error
import urllib.request

method, path, *body = sys.argv[1:]
request = urllib.request.Request(f"http://127.0.0.1:5555{path}", body[0].encode() if body else None, {"Key": "secret"}, method=method)
try:
    print(urllib.request.urlopen(request, timeout=5).read().decode())
except urllib.error.HTTPError as refused:
    print(refused.code, refused.read().decode())
P
api() { inside python3 "$scratch/api.py" "$@"; }
until_seen api GET /farms
listed() { api GET /farms | sed -n 's/^[ \t]*\("name": .*\|"state": .*\|"backends": .*\),$/\1/p'; }

same "a farm with a misspelt key" "500 {\"response\": \"error parsing buffer. Unknown key 'schedular'\"}" \
    "$(api PUT /farms '{"farms": [{"name": "web", "family": "ipv4", "virtual-addr": "203.0.113.2", "virtual-ports": "80", "mode": "dnat",
        "protocol": "tcp", "state": "up", "schedular": "rr", "backends": [{"name": "b0", "ip-addr": "192.168.1.80", "state": "up"}]}]}')"
same "the farms after that" '"name": "web"
"state": "up"
"name": "web-addr"
"backends": []' "$(listed)"
same "a valid request" '{"response": "success"}' "$(api PUT /farms '{"farms": [{"name": "web", "scheduler": "rr"}]}')"
same "what nft does with its packets" 'elements = { tcp . 203.0.113.2 . 80 : goto nat-web }
chain nat-web {' "$(inside13 nft list table ip nftlb | sed -n 's/^[ \t]*\(.*goto nat-web.*\|chain nat-web {\)$/\1/p')"
same "rules of nat-web" 0 "$(inside13 nft -a list chain ip nftlb nat-web | grep -c 'dnat' || true)"
