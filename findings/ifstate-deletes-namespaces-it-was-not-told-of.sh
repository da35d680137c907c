#!/usr/bin/env bash
# `ifstatecli apply` with a file of two interfaces and nothing about namespaces deletes every network namespace on the machine that has a
# name, also where processes run in it, and the interfaces in it: the processes go on without a network. `check` announces it
# and exits 0. `parameters.ignore.netns` spares them.
. "$(dirname "$0")/lib.sh"
ifstate_wheels
echo "kernel: $(uname -r)"

wire wan0 isp0
cat >"$scratch/config.yml" <<'Y'
interfaces:
  wan0: {addresses: [203.0.113.2/24], link: {kind: veth, peer: isp0, state: up}}
  isp0: {link: {kind: veth, peer: wan0, state: up}}
Y
(cat "$scratch/config.yml"; echo 'parameters: {ignore: {netns: [tenant]}}') >"$scratch/ignoring.yml"

# With a /run that no other process sees: the namespaces of this machine are out of reach.
run() { # ACTION FILE: what it says of a namespace `tenant` with a process and an interface, and what is left of it
    inside unshare -m bash -c 'mount -t tmpfs tmpfs /run
        ip netns add tenant
        ip -n tenant link set lo up
        ip -n tenant link add eth0 type bridge
        ip netns exec tenant sleep 60 &
        until [ "$(ip netns pids tenant)" = $! ]; do :; done
        "$@" 2>&1 | sed -n "/tenant/p; /pids/p; /^  *tenant /p" | sed "s/pids:.*/pids: .../; s/  */ /g; s/^ //" | uniq
        echo "exit code ${PIPESTATUS[0]}"
        echo "namespaces: $(ip netns list)"
        echo "interfaces of the process: $(nsenter -t $! -n ip -br link | tr -s " " | cut -d" " -f1,2 | tr "\n" " ")"
        kill $!' - python3 -W ignore "$scratch/python/bin/ifstatecli" -c "$scratch/$2" "$1"
}
announced="tenant pids: ...
tenant del
lo[netns=tenant] orphan
eth0[netns=tenant] del
exit code 0"
same "check" "$announced
namespaces: tenant
interfaces of the process: lo UNKNOWN eth0 DOWN " "$(run check config.yml)"
same "apply" "$announced
namespaces: 
interfaces of the process: lo DOWN " "$(run apply config.yml)"
same "apply, told to ignore it" "exit code 0
namespaces: tenant
interfaces of the process: lo UNKNOWN eth0 DOWN " "$(run apply ignoring.yml)"
