#!/usr/bin/env bash
# CHECK is the verb of CNI by which a runtime asks whether a container is connected as its file says. With `ipMasq` and `isGateway` the
# plugin `bridge` makes the translation, the gateway's address and forwarding, and its CHECK misses none of them: all of it may be gone,
# with the bridge down, and the answer is exit code 0. So does `sbr` without its FIB rule. What CHECK does look at is the container's
# address, and that it has a default route, through any gateway.
. "$(dirname "$0")/lib.sh"
container="$netns-container"
trap 'cleanup; ip netns del "$container"' EXIT
ip netns add "$container"
deb containernetworking-plugins=1.1.1+ds1-3+b5 iptables=1.8.9-2 libxtables12=1.8.9-2 libnftnl11=1.2.4-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 \
    libmnl0=1.0.4-3
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"
export XTABLES_LIBDIR
for name in iptables ip6tables; do ln -sf xtables-nft-multi "$root/usr/sbin/$name"; done
{ inside "$root/usr/lib/cni/bridge" </dev/null 2>&1 || true; } | sed -n 1p
echo "kernel: $(uname -r)"

cat >"$scratch/lan.json" <<J
{"cniVersion": "0.4.0", "name": "lan", "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipam": {"type": "host-local",
"dataDir": "$scratch/leases", "ranges": [[{"subnet": "192.168.9.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
J
cni() { # VERB PLUGIN FILE
    inside env CNI_COMMAND="$1" CNI_CONTAINERID=one CNI_NETNS="/run/netns/$container" CNI_IFNAME=eth0 CNI_PATH="$root/usr/lib/cni" \
        "$root/usr/lib/cni/$2" <"$3" 2>"$scratch/log"
}
checked() { # PLUGIN
    if cni CHECK "$1" "$scratch/$1.json" >"$scratch/answer"; then
        echo "exit code 0"
    else
        python3 -c 'import json, sys; print(json.load(sys.stdin)["msg"])' <"$scratch/answer"
    fi
}
masquerading() { inside iptables -t nat -S | grep -c MASQUERADE || true; }

cni ADD bridge "$scratch/lan.json" >"$scratch/result"
for plugin in bridge sbr; do
    python3 - "$scratch/lan.json" "$scratch/result" $plugin >"$scratch/$plugin.json" <<'P'
import json
import sys

with open(sys.argv[1]) as lan, open(sys.argv[2]) as result:
    print(json.dumps(json.load(lan) | {"type": sys.argv[3], "prevResult": json.load(result)}))
P
done
same "rules that translate, forwarding and CHECK" $'1\n1\nexit code 0' \
    "$(masquerading; inside sysctl -n net.ipv4.ip_forward; checked bridge)"
inside iptables -t nat -F
inside sysctl -qw net.ipv4.ip_forward=0
same "the same without translation and forwarding" $'0\n0\nexit code 0' \
    "$(masquerading; inside sysctl -n net.ipv4.ip_forward; checked bridge)"
ip -n "$container" route replace default via 192.168.9.66
same "with a wrong default gateway" "exit code 0" "$(checked bridge)"
inside ip addr del 192.168.9.1/24 dev cni0
same "without the gateway's address" "exit code 0" "$(checked bridge)"
inside ip link set cni0 down
same "with the bridge down" "exit code 0" "$(checked bridge)"

cni ADD sbr "$scratch/sbr.json" >"$scratch/result"
rules() { ip -n "$container" rule | grep -c 192.168.9.2 || true; }
same "rules by source, and CHECK of sbr" $'1\nexit code 0' "$(rules; checked sbr)"
ip -n "$container" rule del from 192.168.9.2
same "the same without the rule" $'0\nexit code 0' "$(rules; checked sbr)"
ip -n "$container" addr flush dev eth0
same "without the container's address" "Failed to match addr 192.168.9.2/24 on interface eth0" "$(checked bridge)"
