#!/usr/bin/env bash
# `sysctl -w` of procps 4.0.2 exits 0 for a setting that cannot be written, so that `sysctl -w ... && next` continues. It gives
# "Invalid argument" as the reason, whatever the value: nothing was tried. That is every setting without write permission,
# and in a network namespace other than the first these are ones that can be written outside, such as nf_conntrack_max.
# busybox's sysctl exits 1.
. "$(dirname "$0")/lib.sh"
deb procps=2:4.0.2-3 libproc2-0=2:4.0.2-3 busybox-static=1:1.35.0-4+deb12u1+b1
sysctl --version
echo "kernel: $(uname -r)"

try() { inside "$@" >/dev/null 2>"$scratch/error" && code=0 || code=$?; echo "exit $code"; }

for setting in kernel.osrelease=6 net.netfilter.nf_conntrack_max=1000000; do
    [ -e "/proc/sys/$(tr . / <<<"${setting%=*}")" ] || continue # no conntrack in this kernel
    before=$(inside sysctl -n "${setting%=*}")
    same "sysctl -w $setting" "exit 0" "$(try sysctl -w "$setting")"
    same "which says" "sysctl: setting key \"${setting%=*}\": Invalid argument" "$(head -1 "$scratch/error")"
    same "and changes" "nothing" "$([ "$(inside sysctl -n "${setting%=*}")" = "$before" ] && echo nothing || echo it)"
    same "busybox sysctl -w $setting" "exit 1" "$(try busybox sysctl -w "$setting")"
done
