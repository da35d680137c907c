#!/usr/bin/env bash
# `conntrack -L -o save` writes what `conntrack -R` reads, zones and translations included, and forgets the mark. A
# gateway that keeps the uplink of a flow in its conntrack mark (connmark) has all its flows without one after entries
# are saved and loaded, while addresses and ports are as before: they go on, by whatever way unmarked packets take.
. "$(dirname "$0")/lib.sh"
deb conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3
echo "conntrack: $(inside conntrack --version)"

inside conntrack -I -p tcp -s 192.168.1.10 -d 192.0.2.80 --sport 40000 --dport 443 \
    -r 192.0.2.80 -n 203.0.113.2 --reply-port-src 443 --reply-port-dst 2000 \
    --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 300 -w 7 -m 5 2>/dev/null
listed() { inside conntrack -L 2>/dev/null | sed 's/  */ /g; s/ 6 [0-9]* / 6 /; s/ use=1//'; }
entry="tcp 6 ESTABLISHED src=192.168.1.10 dst=192.0.2.80 sport=40000 dport=443 src=192.0.2.80 dst=203.0.113.2 sport=443 dport=2000 [ASSURED]"
same "an entry of a translated flow" "$entry mark=5 zone=7" "$(listed)"

inside conntrack -L -o save >"$scratch/saved" 2>/dev/null
inside conntrack -F 2>/dev/null
inside conntrack -R "$scratch/saved" 2>/dev/null
same "the same, saved and loaded" "$entry mark=0 zone=7" "$(listed)"
