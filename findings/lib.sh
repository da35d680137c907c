# Sourced by the findings: pinned packages in a scratch directory, a network namespace, and the comparison at the end.
# Nothing is installed; all of it is removed when the script ends.
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "needs root, for a network namespace of its own" >&2; exit 2; }
netns="finding-$$"
scratch=$(mktemp -d)
root="$scratch/root"
mkdir "$root"

end_daemons() { # all that runs in the namespace
    ip netns pids "$netns" | xargs -r kill 2>/dev/null || true
    wait 2>/dev/null || true
}
cleanup() {
    end_daemons
    ip netns del "$netns" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
ip netns add "$netns"
ip -n "$netns" link set lo up

# deb NAME=VERSION...: unpacked, not installed. The versions are those of Debian 12.
deb() {
    echo "packages: $*"
    (cd "$scratch" && apt-get download -qq -o APT::Sandbox::User=root "$@") || { echo "cannot download $*" >&2; exit 2; }
    for file in "$scratch"/*.deb; do dpkg-deb -x "$file" "$root"; done
    LD_LIBRARY_PATH=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
    export LD_LIBRARY_PATH PATH="$root/usr/sbin:$root/usr/bin:$root/sbin:$root/bin:$PATH"
}

# debian13 NAME=VERSION...: with all that they depend on, unpacked in a root of their own, $root13.
debian13() {
    echo "packages of Debian 13: $*"
    root13="$scratch/root13"
    mkdir -p "$root13"/{dev,proc,sys,tmp,run,usr/{bin,sbin,lib,lib64}} "$scratch"/apt/{state/lists,cache/archives}/partial
    ln -s usr/{bin,sbin,lib,lib64} "$root13"
    : >"$scratch/apt/status"
    echo "deb http://deb.debian.org/debian trixie main" >"$scratch/apt/sources.list"
    local options=(-qq -o Dir::State="$scratch/apt/state" -o Dir::State::status="$scratch/apt/status" -o Dir::Cache="$scratch/apt/cache"
        -o Dir::Etc::sourcelist="$scratch/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root)
    if ! apt-get "${options[@]}" update ||
        ! apt-get "${options[@]}" --yes --download-only --no-install-recommends install "$@" >/dev/null; then
        echo "cannot download $*" >&2
        exit 2
    fi
    for file in "$scratch"/apt/cache/archives/*.deb; do dpkg-deb -x "$file" "$root13"; done
}

# COMMAND... in the namespace and in $root13.
inside13() {
    root13="$root13" ip netns exec "$netns" unshare -m bash -c '
        mount -t proc proc "$root13/proc"
        mount -t sysfs sysfs "$root13/sys"
        mount --bind /dev "$root13/dev"
        exec env -u LD_LIBRARY_PATH PATH=/usr/sbin:/usr/bin chroot "$root13" "$@"' - "$@"
}

# wheel NAME==VERSION...: on Python's path, not installed.
wheel() {
    echo "packages: $*"
    python3 -m pip install -q --no-deps --disable-pip-version-check --root-user-action ignore --target "$scratch/python" "$@"
    export PYTHONPATH="$scratch/python"
}

ifstate_wheels() {
    wheel ifstate==2.5.1 pyroute2==0.9.7 jsonschema==4.26.0 pyyaml==6.0.4 setproctitle==1.3.8 attrs==26.1.0 referencing==0.37.0 \
        rpds-py==2026.9.1 jsonschema-specifications==2025.9.1 typing-extensions==4.16.0
}

inside() { ip netns exec "$netns" "$@"; }

wire() { # ONE OTHER: a veth pair, up, in the namespace
    inside ip link add "$1" type veth peer name "$2"
    for end in "$1" "$2"; do inside ip link set "$end" up; done
}

# With a /run of its own: it deletes namespaces with a name that it does not know.
ifstatecli() { # FILE ACTION
    inside unshare -m sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' - \
        python3 -W ignore "$scratch/python/bin/ifstatecli" -c "$scratch/$1" "$2" 2>&1
}

until_seen() { # COMMAND...: succeeds within ten seconds
    for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    echo "not seen within 10 s: $*" >&2
    exit 2
}

same() { # WHAT EXPECTED FOUND
    if [ "$2" != "$3" ]; then
        printf 'CHANGED: %s\n--- when it was found\n%s\n--- now\n%s\n' "$1" "$2" "$3"
        exit 1
    fi
    printf 'seen: %s\n%s\n' "$1" "$(sed 's/^/    /' <<<"$3")"
}

# COMMAND... in the namespace, with directories of daemons' own over those of this machine: networkd finds every link known
# to udev (as after boot), and its configuration in $scratch/*.network; FRR's daemons run as root.
inside_with_daemons() {
    mkdir -p "$scratch/frr"
    grep -v '^systemd-network:\|^frr' /etc/passwd >"$scratch/passwd"
    grep -v '^systemd-network:\|^frr' /etc/group >"$scratch/group"
    echo 'systemd-network:x:60998:60998::/:/usr/sbin/nologin' >>"$scratch/passwd"
    printf '%s\n' systemd-network:x:60998: frr:x:60997:root frrvty:x:60996:root >>"$scratch/group"
    scratch="$scratch" ip netns exec "$netns" unshare -m bash -c '
        set -e
        for file in passwd group; do mount --bind "$scratch/$file" "/etc/$file"; done
        mkdir -p /run/udev /run/systemd /etc/systemd
        for directory in /run/udev /run/systemd /etc/systemd; do mount -t tmpfs tmpfs "$directory"; done
        mkdir -p /run/udev/data /run/systemd/netif/{links,leases,lldp} /etc/systemd/{network,networkd.conf.d}
        chown -R systemd-network /run/systemd/netif
        for number in $(seq 64); do echo I:1 >"/run/udev/data/n$number"; done
        cp "$scratch"/*.network /etc/systemd/network/
        if [ -e "$scratch/networkd.conf" ]; then cp "$scratch/networkd.conf" /etc/systemd/networkd.conf.d/; fi
        exec "$@"' - "$@"
}

# FRR of Debian 12 and its libraries, for `deb`.
frr_packages=(frr=8.4.4-1.1~deb12u2 libyang2=2.1.30-2 libunwind8=1.6.2-3 libc-ares2=1.18.1-3 libprotobuf-c1=1.4.1-1+b1)

frr() { # DAEMON: with $scratch/DAEMON.conf
    inside_with_daemons "$root/usr/lib/frr/$1" -u root -g root --vty_socket "$scratch/frr" -z "$scratch/frr/zserv.api" \
        -i "$scratch/$1.pid" -f "$scratch/$1.conf" >"$scratch/$1.log" 2>&1 &
}

frr13() { # DAEMON: of $root13, with $scratch/DAEMON.conf
    mkdir -p "$root13/run/frr"
    ln -sfT "$root13/run/frr" "$scratch/frr"
    printf 'root:x:0:0::/:/bin/sh\nfrr:x:60997:60997::/:/bin/sh\n' >"$root13/etc/passwd"
    printf 'root:x:0:\nfrr:x:60997:\nfrrvty:x:60996:root\n' >"$root13/etc/group"
    cp "$scratch/$1.conf" "$root13/etc/frr/"
    inside13 "/usr/lib/frr/$1" -u root -g root -f "/etc/frr/$1.conf" >"$scratch/$1.log" 2>&1 &
}

frr_answers() { # DAEMON COMMAND...: the answer to the last command
    python3 - "$scratch/frr/$1.vty" "${@:2}" <<'P'
import socket
import sys

with socket.socket(socket.AF_UNIX) as vty:
    vty.connect(sys.argv[1])
    vty.settimeout(10)
    for command in sys.argv[2:]:
        vty.send(command.encode() + b"\0")
        answer = b""
        while b"\0\0\0" not in answer:
            answer += vty.recv(65536)
print(answer.partition(b"\0")[0].decode())
P
}

# nftlb of Debian 13 with its API; `nftlb_api METHOD PATH [JSON]` asks it, and prints the answer, after its status where that is
# an error.
nftlb() {
    debian13 nftlb=1.0.7-1+b2 nftables=1.1.3-1 netbase=6.5
    inside13 nftlb --help 2>&1 | sed -n 1p
    echo "kernel: $(uname -r)"
    inside13 nftlb -k secret -H 127.0.0.1 -P 5555 >"$scratch/log" 2>&1 &
    until_seen nftlb_api GET /farms
}

nftlb_api() {
    inside python3 - "$@" <<'P'
import sys
import urllib.error
import urllib.request

method, path, *body = sys.argv[1:]
request = urllib.request.Request(f"http://127.0.0.1:5555{path}", body[0].encode() if body else None, {"Key": "secret"}, method=method)
try:
    print(urllib.request.urlopen(request, timeout=5).read().decode())
except urllib.error.HTTPError as refused:
    print(refused.code, refused.read().decode())
P
}
