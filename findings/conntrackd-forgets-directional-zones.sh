#!/usr/bin/env bash
# conntrackd hands conntrack entries on to a second gateway with their zone, but without a zone of one direction, as
# `ct original zone set` of nft and `CT --zone-orig` of iptables make it for tenants with the same addresses. At the
# second gateway the flows of two tenants then have one tuple: one entry is made, the other is lost, and no log says so.
. "$(dirname "$0")/lib.sh"
deb conntrackd=1:1.4.7-1+b2 conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 \
    libnetfilter-cthelper0=1.0.1-1 libnetfilter-cttimeout1=1.0.1-1 libnetfilter-queue1=1.0.5-3 libmnl0=1.0.4-3
echo "conntrackd: $(inside conntrackd -v | head -1)"

second="$netns-2"
trap 'ip netns pids "$second" | xargs -r kill; cleanup; ip netns del "$second"' EXIT
ip netns add "$second"
at_second() { ip netns exec "$second" "$@"; }
ip -n "$netns" link add to2 type veth peer name to1 netns "$second"
ip -n "$netns" addr add 10.9.9.1/24 dev to2 && ip -n "$netns" link set to2 up
ip -n "$second" addr add 10.9.9.2/24 dev to1 && ip -n "$second" link set to1 up

settings() { # NAME OWN-ADDRESS PEER INTERFACE
    cat >"$scratch/$1.conf" <<C
Sync {
    Mode NOTRACK {
        DisableExternalCache off
    }
    UDP {
        IPv4_address $2
        IPv4_Destination_Address $3
        Port 3780
        Interface $4
    }
}
General {
    HashSize 1024
    HashLimit 4096
    LogFile $scratch/$1.log
    LockFile $scratch/$1.lock
    UNIX {
        Path $scratch/$1.ctl
    }
}
C
}
settings first 10.9.9.1 10.9.9.2 to2
settings second 10.9.9.2 10.9.9.1 to1
inside conntrackd -C "$scratch/first.conf" >/dev/null 2>&1 &
at_second conntrackd -C "$scratch/second.conf" >/dev/null 2>&1 &
until_seen inside conntrackd -C "$scratch/first.conf" -s
until_seen at_second conntrackd -C "$scratch/second.conf" -s

flow() { # TRANSLATED-SOURCE ZONE-OPTION...
    inside conntrack -I -p tcp -s 192.168.1.10 -d 192.0.2.80 --sport 40000 --dport 443 -r 192.0.2.80 -n "$1" \
        --reply-port-src 443 --reply-port-dst 2000 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 300 "${@:2}" 2>/dev/null
}
cached() { "$1" conntrackd -C "$scratch/$2.conf" "$3" 2>/dev/null | grep -o 'zone[^ ]*\|ESTABLISHED' | sort | tr '\n' ' '; }
entries() { "$1" conntrack -L 2>/dev/null | grep -o 'dst=203[^ ]*\|zone[^ ]*' | sort | tr '\n' ' '; }

flow 203.0.113.2 --orig-zone 7
flow 203.0.113.3 --orig-zone 8
sleep 2 # without anything that tells how many messages are under way
same "two tenants' flows at the first gateway" "dst=203.0.113.2 dst=203.0.113.3 zone-orig=7 zone-orig=8 " "$(entries inside)"
same "as its conntrackd knows them" "ESTABLISHED ESTABLISHED zone-orig=7 zone-orig=8 " "$(cached inside first -i)"
same "as that of the second gateway knows them" "ESTABLISHED " "$(cached at_second second -e)"
at_second conntrackd -C "$scratch/second.conf" -c 2>/dev/null
until_seen grep -q "commit has taken" "$scratch/second.log"
same "entries of the second gateway" "1" "$(entries at_second | grep -o dst= | wc -l)"
same "and their zones" "" "$(entries at_second | grep -o 'zone.*' || true)"
same "what its log complains about" "" "$(grep -i 'error\|warn\|fail' "$scratch/second.log" || true)"
