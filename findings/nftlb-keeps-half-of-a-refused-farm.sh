#!/usr/bin/env bash
# nftlb reads a request key by key, and does what each says. Where it refuses one for an unknown key, with status 500, what stood before that key
# remains: a farm without the backends that came after it. The next request for that farm, valid and answered by "success", puts it
# into nft, where its packets go to no backend but to the gateway itself.
. "$(dirname "$0")/lib.sh"
nftlb

listed() { nftlb_api GET /farms | sed -n 's/^[ \t]*\("name": .*\|"state": .*\|"backends": .*\),$/\1/p'; }

same "a farm with a misspelt key" "500 {\"response\": \"error parsing buffer. Unknown key 'schedular'\"}" \
    "$(nftlb_api PUT /farms '{"farms": [{"name": "web", "family": "ipv4", "virtual-addr": "203.0.113.2", "virtual-ports": "80", "mode": "dnat",
        "protocol": "tcp", "state": "up", "schedular": "rr", "backends": [{"name": "b0", "ip-addr": "192.168.1.80", "state": "up"}]}]}')"
same "the farms after that" '"name": "web"
"state": "up"
"name": "web-addr"
"backends": []' "$(listed)"
same "a valid request" '{"response": "success"}' "$(nftlb_api PUT /farms '{"farms": [{"name": "web", "scheduler": "rr"}]}')"
same "what nft does with its packets" 'elements = { tcp . 203.0.113.2 . 80 : goto nat-web }
chain nat-web {' "$(inside13 nft list table ip nftlb | sed -n 's/^[ \t]*\(.*goto nat-web.*\|chain nat-web {\)$/\1/p')"
same "rules of nat-web" 0 "$(inside13 nft -a list chain ip nftlb nat-web | grep -c 'dnat' || true)"
