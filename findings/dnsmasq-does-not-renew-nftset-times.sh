#!/usr/bin/env bash
# dnsmasq adds the addresses of a name to an nft set each time it hears them (`nftset=`), and a set with a timeout is there to
# forget those that are out of use. But to add an element that is there already with the same timeout renews nothing, so the
# address expires a fixed time after the first answer, however often it was answered since: clients that were told it a
# moment ago are routed otherwise until the name is asked for again. With an ipset (`ipset=`) each answer renews the time.
#
# nft renews it where the request names another timeout than the element has, which dnsmasq cannot.
. "$(dirname "$0")/lib.sh"
deb dnsmasq-base=2.90-4~deb12u2 libnftables1=1.0.6-2+deb12u2 nftables=1.0.6-2+deb12u2 ipset=7.17-1 libipset13=7.17-1
echo "dnsmasq: $(inside dnsmasq --version | head -1)"
echo "kernel: $(uname -r)"

inside nft 'add table inet pbr; add set inet pbr video { type ipv4_addr; flags timeout; timeout 20s; }'
inside ipset create video hash:ip timeout 20

dns() { # PORT OPTION...
    inside dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= --cache-size=0 \
        --listen-address=127.0.0.1 --bind-interfaces --port="$1" "${@:2}" >"$scratch/$1.log" 2>&1 &
}
dns 5301 --address=/video.example/192.0.2.80
dns 5302 --server=127.0.0.1#5301 --nftset=/video.example/4#inet#pbr#video --ipset=/video.example/video
asked() { # the address, as a client is told it
    inside python3 - <<'P'
import socket

query = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x05video\x07example\0\0\x01\0\x01"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(1)
    client.sendto(query, ("127.0.0.1", 5302))
    print(socket.inet_ntoa(client.recv(512)[-4:]))
P
}
left_of() { # nft or ipset: whole seconds
    case $1 in
    nft) inside nft list set inet pbr video | sed -n 's/.*192.0.2.80 expires \([0-9]*\)s.*/\1/p' ;;
    ipset) inside ipset list video | sed -n 's/^192.0.2.80 timeout //p' ;;
    esac
}
is() { [ "$(left_of "$1")" "$2" "$3" ] && echo yes || echo "no: $(left_of "$1") s"; }

until_seen asked
sleep 10
same "the second answer, 10 s after the first" "192.0.2.80" "$(asked)"
same "it renewed the time of the ipset, which is 20 s" "yes" "$(is ipset -gt 13)"
same "and not that of the nft set" "yes" "$(is nft -lt 12)"
until_seen sh -c "! ip netns exec $netns nft list set inet pbr video | grep 192.0.2.80"
same "the ipset still has the address when the nft set has lost it" "yes" "$(is ipset -gt 3)"
