#!/usr/bin/env bash
# `ifquery --check` of ifupdown2 compares what /etc/network/interfaces says with the kernel, line by line, and leaves out `gateway`: with the default
# route deleted, or through another gateway, it shows "pass" for the interface, and exits 0. So it does for FIB rules and routes of `up`,
# which it lists without a verdict. It sees a wrong address or MTU. The default route itself is made as one of the kernel's (`proto kernel`),
# which routing daemons do not take for a route that an administrator made.
. "$(dirname "$0")/lib.sh"
debian13 ifupdown2=3.0.0-1.3 iproute2=6.15.0-1 dash=0.5.12-12 coreutils=9.7-3
chmod +x "$root13/usr/share/ifupdown2/__main__.py"
ln -sf dash "$root13/usr/bin/sh"
mkdir -p "$root13"/{etc,run}/network "$root13"/var/lib/ifupdown2
grep -m1 version "$root13/usr/share/ifupdown2/__init__.py" || true
echo "kernel: $(uname -r)"

wire wan0 isp0
cat >"$root13/etc/network/interfaces" <<'C'
auto wan0
iface wan0
    address 203.0.113.2/24
    gateway 203.0.113.1
    mtu 1400
    up ip rule add from 192.168.1.0/24 table 100 priority 100
C
checked() {
    if inside13 env PYTHONWARNINGS=ignore ifquery --check wan0 >"$scratch/answer" 2>/dev/null; then echo "exit code 0"; else echo "exit code $?"; fi
    sed -n 's/  */ /g; s/\t//g; s/ *$//; /^iface\|\[/p' "$scratch/answer"
}
pass="exit code 0
iface wan0 [pass]
up ip rule add from 192.168.1.0/24 table 100 priority 100 []
mtu 1400 [pass]
address 203.0.113.2/24 [pass]"
inside13 env PYTHONWARNINGS=ignore ifreload -a >"$scratch/log" 2>&1
same "the default route" "default via 203.0.113.1 dev wan0 proto kernel onlink" "$(inside13 ip route show default | sed 's/ *$//')"
same "as configured" "$pass" "$(checked)"
inside ip route replace default via 203.0.113.66 dev wan0
same "with another gateway" "$pass" "$(checked)"
inside ip route del default
same "without a default route" "$pass" "$(checked)"
inside ip rule del pref 100
same "without the rule" "$pass" "$(checked)"
inside ip link set wan0 mtu 1300
same "with another MTU" "exit code 1
iface wan0 [fail]
mtu 1300 [fail]" "$(checked | grep -v 'up ip\|address')"
