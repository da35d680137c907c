#!/usr/bin/env bash
# CHECK of CNI's plugin `portmap` fails for every container with IPv4 alone, although its published ports work: it asks for a chain of
# ip6tables as well, which ADD makes only for a container with IPv6. Where rules of IPv4 are missing it fails in the same way, so that no
# exit code tells the two apart.
. "$(dirname "$0")/lib.sh"
deb containernetworking-plugins=1.1.1+ds1-3+b5 iptables=1.8.9-2 libxtables12=1.8.9-2 libnftnl11=1.2.4-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 \
    libmnl0=1.0.4-3
XTABLES_LIBDIR="$root/usr/lib/$(uname -m)-linux-gnu/xtables"
export XTABLES_LIBDIR
for name in iptables ip6tables; do ln -sf xtables-nft-multi "$root/usr/sbin/$name"; done
echo "kernel: $(uname -r)"

cat >"$scratch/ports.json" <<J
{"cniVersion": "0.4.0", "name": "lan", "type": "portmap",
 "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]},
 "prevResult": {"cniVersion": "0.4.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/$netns"}],
  "ips": [{"version": "4", "interface": 0, "address": "192.168.9.2/24", "gateway": "192.168.9.1"}]}}
J
portmap() { # VERB: the message of an error, or the exit code
    if inside env CNI_COMMAND="$1" CNI_CONTAINERID=one CNI_NETNS="/run/netns/$netns" CNI_IFNAME=eth0 CNI_PATH="$root/usr/lib/cni" \
        "$root/usr/lib/cni/portmap" <"$scratch/ports.json" >"$scratch/answer" 2>"$scratch/log"; then
        echo "exit code 0"
    else
        python3 -c 'import json, sys; print(json.load(sys.stdin)["msg"].partition(": rule")[0])' <"$scratch/answer"
    fi
}
same "ADD" "exit code 0" "$(portmap ADD)"
chain=$(inside iptables -t nat -S | sed -n 's/^-N \(CNI-DN-.*\)/\1/p')
same "its rule" "-A $chain -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.9.2:80" "$(inside iptables -t nat -S "$chain" | grep DNAT)"
same "CHECK" "could not check ipv6 dnat: chain $chain not found in iptables table nat" "$(portmap CHECK)"
inside iptables -t nat -F "$chain"
same "CHECK without its rules" "could not check ipv4 dnat" "$(portmap CHECK)"
