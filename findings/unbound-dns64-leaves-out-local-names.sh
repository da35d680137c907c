#!/usr/bin/env bash
# unbound behind NAT64 (`module-config: "dns64 iterator"`) makes no IPv6 address for names that it answers itself: with
# `local-data`, and in an `auth-zone` as it is by default, AAAA is answered with no address, and A with one. So hosts without
# IPv4 reach the whole internet and not the server next door. With `for-downstream: no` the same zone gets them. unbound 1.17 of
# Debian 12 does the same.
. "$(dirname "$0")/lib.sh"
debian13 unbound=1.26.2-0+deb13u1
inside13 unbound -V | head -1

cat >"$root13/tmp/unbound.conf" <<'C'
server:
    interface: 127.0.0.1
    username: ""
    chroot: ""
    directory: /tmp
    do-daemonize: no
    use-syslog: no
    module-config: "dns64 iterator"
    dns64-prefix: 64:ff9b::/96
    local-data: "nas.home.example. A 192.0.2.80"
auth-zone:
    name: "default.example"
    zonefile: zone
auth-zone:
    name: "upstream.example"
    zonefile: zone
    for-downstream: no
C
cat >"$root13/tmp/zone" <<'Z'
@ 300 IN SOA @ admin 1 3600 600 86400 300
@ 300 IN NS @
nas 300 IN A 192.0.2.80
Z
inside13 unbound -d -c /tmp/unbound.conf >"$scratch/unbound.log" 2>&1 &
asked() { # NAME: its addresses
    inside python3 - "$1" <<'P'
import socket, sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.connect(("127.0.0.1", 53))
    for kind, number, family in (("A", 1, socket.AF_INET), ("AAAA", 28, socket.AF_INET6)):
        name = b"".join(bytes([len(label)]) + label.encode() for label in sys.argv[1].split(".")) + b"\0"
        query = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + name + bytes([0, number, 0, 1])
        client.send(query)
        answer = client.recv(512)
        size = 4 if family == socket.AF_INET else 16
        start = len(query) + 12
        print(kind, socket.inet_ntop(family, answer[start : start + size]) if answer[7] else f"none, rcode {answer[3] & 15}")
P
}
until_seen asked nas.home.example
same "a name of local-data" $'A 192.0.2.80\nAAAA none, rcode 0' "$(asked nas.home.example)"
same "a name of an auth-zone" $'A 192.0.2.80\nAAAA none, rcode 0' "$(asked nas.default.example)"
same "a name of an auth-zone with for-downstream: no" $'A 192.0.2.80\nAAAA 64:ff9b::c000:250' "$(asked nas.upstream.example)"
