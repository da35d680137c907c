#!/usr/bin/env bash
# `-m multiport ! --ports 22,1000:2000 -j DROP` drops what is for none of these ports. Translated to nft it drops what is for
# port 22, 1000 or 2000 and nothing else: the negation is lost, and of a range the ends are left. iptables-translate exits 0,
# and nft loads it. `--dports` and `--sports` are translated as they should. 1.8.11 of Debian 13 does the same.
. "$(dirname "$0")/lib.sh"
deb iptables=1.8.9-2 libxtables12=1.8.9-2 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 libmnl0=1.0.4-3
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"
export XTABLES_LIBDIR
echo "iptables: $(inside iptables-translate --version)"

rule() { echo "-A OUTPUT -p udp -m multiport $1 -j DROP"; }
translated() { inside iptables-translate $(rule "$1") | sed "s/^nft '\(.*\)'$/\1/"; }
arrived() { # PORT...: those of them to which a packet is not dropped
    inside python3 - "$@" <<'P'
import socket, sys
for port in map(int, sys.argv[1:]):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", port))
        server.setblocking(False)
        client.bind(("127.0.0.1", 40000))
        try:
            client.sendto(b"", ("127.0.0.1", port))
            server.recv(1)
            print(port, end=" ")
        except OSError:
            pass
P
}
start() {
    inside nft flush ruleset
    inside nft 'add table ip filter; add chain ip filter OUTPUT { type filter hook output priority 0; }'
}

start
inside iptables-nft $(rule "! --ports 22,1000:2000")
same "with iptables packets arrive at" "22 1000 1500 2000 " "$(arrived 22 53 1000 1500 2000 3000)"
start
inside nft "$(translated "! --ports 22,1000:2000")"
same "and with its translation at" "53 1500 3000 " "$(arrived 22 53 1000 1500 2000 3000)"
start
inside nft "$(translated "! --dports 22,1000:2000")"
same "and with that of ! --dports at" "22 1000 1500 2000 " "$(arrived 22 53 1000 1500 2000 3000)"
