#!/usr/bin/env bash
# firewalld lets a port or a ban be for a time (`--timeout`). `--runtime-to-permanent` writes these down with all else, without the time: a port that
# was open for minutes is open again after each reload, and a host that was banned for minutes for ever. And what has a time cannot be
# made to stay: to add it again without one, or with a longer one, has exit code 0 and a warning that it is there already, and it ends
# as it would have ended.
. "$(dirname "$0")/lib.sh"
debian13 firewalld=2.3.1-1+deb13u1 nftables=1.1.3-1 dbus-daemon=1.16.2-2
mkdir -p "$root13"/run/dbus "$root13"/var/lib/dbus "$root13"/etc/firewalld
printf '%s\n' root:x:0:0::/: messagebus:x:100:100::/: >"$root13/etc/passwd"
printf '%s\n' root:x:0: messagebus:x:100: >"$root13/etc/group"
inside13 dbus-uuidgen >"$root13/etc/machine-id"
echo "kernel: $(uname -r)"
inside13 dbus-daemon --system --nofork --nopidfile >"$scratch/log" 2>&1 &
until_seen test -S "$root13/run/dbus/system_bus_socket"
inside13 firewalld --nofork --nopid >"$scratch/log" 2>&1 &
until_seen inside13 firewall-cmd --state
echo "firewalld $(inside13 firewall-cmd --version)"

cmd() { inside13 firewall-cmd "$@" 2>/dev/null; }
ban='rule family=ipv4 source address=192.0.2.7 drop'
state() { echo "port: $(cmd --query-port=8080/tcp), ban: $(cmd --query-rich-rule="$ban")"; }

cmd --add-port=8080/tcp --timeout=20 >/dev/null
cmd --add-rich-rule="$ban" --timeout=20 >/dev/null
same "added for seconds" "port: yes, ban: yes" "$(state)"
same "runtime to permanent" success "$(cmd --runtime-to-permanent)"
ended() { [ "$(state)" = "port: no, ban: no" ]; }
until_seen ended
same "when the time is over" "port: no, ban: no" "$(state)"
cmd --reload >/dev/null
same "after a reload" "port: yes, ban: yes" "$(state)"

cmd --remove-port=8080/tcp >/dev/null
cmd --remove-rich-rule="$ban" >/dev/null
cmd --add-port=8080/tcp --timeout=20 >/dev/null
cmd --add-rich-rule="$ban" --timeout=20 >/dev/null
same "a port added again without a time, a ban with a longer one" $'success\nsuccess' \
    "$(cmd --add-port=8080/tcp && cmd --add-rich-rule="$ban" --timeout=3600)"
same "then" "port: yes, ban: yes" "$(state)"
until_seen ended
same "and after the first time" "port: no, ban: no" "$(state)"
