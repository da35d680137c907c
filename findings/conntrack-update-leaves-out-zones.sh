#!/usr/bin/env bash
# `conntrack -U` changes the mark or the timeout of the connections that match. Of those in a conntrack zone, as of tenants with the same addresses,
# it changes none, without a word, while `-L` and `-D` with the same conditions find them. There is no way to name the zone either (`--zone`
# is refused), and a connection in a zone of one direction is left out in the same way.
. "$(dirname "$0")/lib.sh"
debian13 conntrack=1:1.4.8-2
inside13 conntrack --version
echo "kernel: $(uname -r)"

connection() { # ADDRESS [ZONE]
    inside13 conntrack -I -p udp -s "$1" -d 192.0.2.53 --sport 5000 --dport 53 -t 300 -m 1 "${@:2}" >/dev/null 2>&1
}
connection 192.168.1.10
connection 192.168.1.11 --zone 5
connection 192.168.1.12 --orig-zone 7
counted() { # OPTION...: exit code, and the message with its number
    inside13 conntrack "$@" 2>&1 >/dev/null | sed 's/.*: //'
    echo "exit code ${PIPESTATUS[0]}"
}
marks() { inside13 conntrack -L -p udp 2>/dev/null | sed 's/.* \(src=192.168.1.1.\).*\(mark=[0-9]*\).*/\1 \2/' | sort -u; }
same "listed" $'3 flow entries have been shown.\nexit code 0' "$(counted -L -p udp)"
same "updated to mark 9" $'1 flow entries have been updated.\nexit code 0' "$(counted -U -p udp -m 9)"
same "one of them" $'0 flow entries have been updated.\nexit code 1' "$(counted -U -p udp -s 192.168.1.11 -m 9)"
same "with its zone" "Illegal option \`--zone' with this command" "$(counted -U -p udp --zone 5 -m 9 | head -1)"
same "the marks" $'src=192.168.1.10 mark=9\nsrc=192.168.1.11 mark=1\nsrc=192.168.1.12 mark=1' "$(marks)"
same "deleted" $'3 flow entries have been deleted.\nexit code 0' "$(counted -D -p udp)"
