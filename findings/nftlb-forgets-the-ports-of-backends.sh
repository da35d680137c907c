#!/usr/bin/env bash
# Backends of an nftlb farm have a port each, or none, which leaves the client's as it is. One backend without a port takes the ports of all others
# away: their connections go to the port that the client asked, where another service may answer. The API says "success", and
# goes on to list the port of each.
. "$(dirname "$0")/lib.sh"
nftlb

farm() { # PORT...: of 192.168.1.80, 192.168.1.81 ...
    local backends="" number=80
    for port in "$@"; do
        backends+="${backends:+,}{\"name\": \"b$number\", \"ip-addr\": \"192.168.1.$number\", \"port\": \"$port\", \"state\": \"up\"}"
        number=$((number + 1))
    done
    nftlb_api PUT /farms "{\"farms\": [{\"name\": \"web\", \"family\": \"ipv4\", \"virtual-addr\": \"203.0.113.2\", \"virtual-ports\": \"80\",
        \"mode\": \"dnat\", \"protocol\": \"tcp\", \"scheduler\": \"rr\", \"state\": \"up\", \"backends\": [$backends]}]}"
    nftlb_api GET /farms/web | sed -n 's/^[ \t]*\("port": ".*"\),$/\1/p'
    inside13 nft list chain ip nftlb nat-web | sed -n 's/.*map { \(.*\) }/\1/p'
    nftlb_api DELETE /farms/web >/dev/null
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
