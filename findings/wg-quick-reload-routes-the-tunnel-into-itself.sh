#!/usr/bin/env bash
# `systemctl reload wg-quick@wg0` is `wg syncconf wg0 <(wg-quick strip wg0)`, which is to leave peers undisturbed. For a tunnel
# that is the default route, `wg-quick up` chose a mark and a table by itself; they are not in the file, so syncconf takes the
# mark away and exits 0: what is sent to the peer goes into the tunnel. The port changes at each reload as well. `wg-quick down`
# looks for its rules by the mark, and leaves them. With `FwMark` and `ListenPort` in the file none of this happens.
. "$(dirname "$0")/lib.sh"
deb wireguard-tools=1.0.20210914-1+b1 wireguard-go=0.0.20220316-1+b4
inside wg --version
[ -c /dev/net/tun ] || { echo "needs /dev/net/tun" >&2; exit 2; }

wire wan0 isp0
inside ip addr add 203.0.113.2/24 dev wan0
inside ip route add default via 203.0.113.1
cat >"$scratch/run" <<'R'
set -e
mount -t tmpfs tmpfs /run # its sockets
state() {
    mark=$(wg show wg0 fwmark)
    echo "$1: mark $mark, to the peer: $(ip route get 198.51.100.7 mark "${mark/off/0}" | grep -o 'dev [a-z0-9]*')"
}
export WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go LOG_LEVEL=silent
wg-quick up "$scratch/wg0.conf" >"$scratch/log" 2>&1
state up
port=$(wg show wg0 listen-port)
wg syncconf wg0 <(wg-quick strip "$scratch/wg0.conf")
echo "exit code $?"
state reloaded
[ "$(wg show wg0 listen-port)" = "$port" ] && echo "the same port" || echo "another port"
wg-quick down "$scratch/wg0.conf" >>"$scratch/log" 2>&1
echo "rules after down:"
ip rule list | sed -n 's/\t/ /; /51820\|suppress/p'
R
chmod +x "$scratch/run"
run() { # LINES: of the section Interface
    inside ip rule flush
    inside ip rule add pref 32766 lookup main
    (umask 77 && cat >"$scratch/wg0.conf" <<C
[Interface]
PrivateKey = $(wg genkey)
Address = 10.7.0.2/32
$1
[Peer]
PublicKey = $(wg genkey | wg pubkey)
Endpoint = 198.51.100.7:51820
AllowedIPs = 0.0.0.0/0
C
    )
    scratch="$scratch" inside unshare -m bash "$scratch/run"
}
same "reloaded, with the same file" "up: mark 0xca6c, to the peer: dev wan0
exit code 0
reloaded: mark off, to the peer: dev wg0
another port
rules after down:
32764: from all lookup main suppress_prefixlength 0
32765: not from all fwmark 0xca6c lookup 51820" "$(run "")"
same "with FwMark and ListenPort in the file" "up: mark 0xca6c, to the peer: dev wan0
exit code 0
reloaded: mark 0xca6c, to the peer: dev wan0
the same port
rules after down:" "$(run $'FwMark = 51820\nListenPort = 51821')"
