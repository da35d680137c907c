#!/usr/bin/env bash
# On a machine whose `iptables` is the nft variant, Debian's default, ferm takes the legacy variant all the same, as soon as it is there, and
# Debian ships both in one package. The rules are in force, while `iptables -S` and `nft list ruleset` show a
# machine without a firewall; what is added with `iptables` comes to stand in a second firewall, and an accept there opens nothing.
. "$(dirname "$0")/lib.sh"
debian13 ferm=2.5.1-4 iptables=1.8.11-2 nftables=1.1.3-1 dash coreutils netbase
for name in iptables iptables-restore iptables-save ip6tables ip6tables-restore ip6tables-save; do
    ln -sf xtables-nft-multi "$root13/usr/sbin/$name" # as the alternatives system sets it
done
echo "$(inside13 env LC_ALL=C ferm --version | sed -n 1p), $(inside13 iptables --version), kernel $(uname -r)"

cat >"$root13/etc/own.conf" <<'F'
domain (ip ip6) table filter chain INPUT {
    policy DROP;
    proto tcp dport 22 ACCEPT;
}
F
arrives() { # of UDP to port 4000
    inside python3 - <<'P'
import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    server.bind(("127.0.0.1", 4000))
    server.settimeout(1)
    client.sendto(b"x", ("127.0.0.1", 4000))
    try:
        server.recv(1)
        print("it arrives")
    except TimeoutError:
        print("it is dropped")
P
}
same "a packet, before" "it arrives" "$(arrives)"
inside13 env LC_ALL=C ferm /etc/own.conf
same "iptables -S INPUT" "-P INPUT ACCEPT" "$(inside13 iptables -S INPUT 2>/dev/null)"
same "iptables-legacy -S INPUT" "-P INPUT DROP
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT" "$(inside13 iptables-legacy -S INPUT)"
same "a packet" "it is dropped" "$(arrives)"
inside13 iptables -I INPUT -p udp --dport 4000 -j ACCEPT
same "and once iptables accepts it" "it is dropped" "$(arrives)"
