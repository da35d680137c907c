#!/usr/bin/env bash
# cloud-init takes the network file of netplan (version 2), and writes it for networkd or NetworkManager without `routing-policy` and without
# the `table`, `type` and `on-link` of routes, and exits 0. So the default route of the second uplink's table becomes one of `main`, with a better
# metric than that of the first, and a blackhole for private networks a route to them over the uplink. `to: default`, as netplan
# writes it, is refused.
. "$(dirname "$0")/lib.sh"
debian13 cloud-init=25.1.4-1+deb13u1 coreutils=9.7-3
mkdir -p "$root13/etc/ssl/certs"
cat "$root13"/usr/share/ca-certificates/mozilla/*.crt >"$root13/etc/ssl/certs/ca-certificates.crt"
printf '%s\n' root:x:0:0::/: systemd-network:x:998:998::/: >"$root13/etc/passwd"
printf '%s\n' root:x:0: systemd-network:x:998: >"$root13/etc/group"
inside13 cloud-init --version

cat >"$root13/tmp/network.yaml" <<'Y'
network:
  version: 2
  ethernets:
    wan0:
      addresses: [203.0.113.2/24]
      routes:
        - {to: 0.0.0.0/0, via: 203.0.113.1, metric: 50}
    wan1:
      addresses: [198.51.100.2/24]
      routes:
        - {to: 0.0.0.0/0, via: 198.51.100.1, table: 200, on-link: true}
        - {to: 10.0.0.0/8, type: blackhole}
      routing-policy:
        - {from: 198.51.100.2, table: 200, priority: 100}
Y
converted() { # RENDERER FILE: exit code, and what is said of routes and rules
    rm -rf "$root13/tmp/out"
    inside13 cloud-init devel net-convert -p /tmp/network.yaml -k yaml -D debian -O "$1" -d /tmp/out >"$scratch/log" 2>&1 && echo "exit code 0"
    # shellcheck disable=SC2086 # globs
    cat "$root13"/tmp/out/$2 | sed -n '/Route\|Rule\|^Dest\|^Gateway\|^Metric\|^route\|^Table\|^Type\|routing/p'
}
same "for networkd" "exit code 0
[Route]
Destination=0.0.0.0/0
Gateway=203.0.113.1
Metric=50
[Route]
Destination=0.0.0.0/0
Gateway=198.51.100.1
[Route]
Destination=10.0.0.0/8" "$(converted networkd 'etc/systemd/network/*.network')"
same "for NetworkManager" "exit code 0
route-metric=50
route1=0.0.0.0/0,203.0.113.1
route1=0.0.0.0/0,198.51.100.1
route2=10.0.0.0/8" "$(converted network-manager 'etc/NetworkManager/system-connections/*.nmconnection')"
sed -i 's|to: 0.0.0.0/0, via: 203|to: default, via: 203|' "$root13/tmp/network.yaml"
same "with \`to: default\`" "" "$(converted networkd 'none' 2>/dev/null)"
same "and what is said of it" "ValueError: Address default is not a valid ip address" "$(tail -1 "$scratch/log")"
