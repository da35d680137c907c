#!/usr/bin/env bash
# `foomuuri iplist add` bans an address for ten days, or for the time that it is told. In a list that has nothing in the configuration the ban
# survives a reload and a restart. In one that has an address or a file there, it is gone with the next reload or `iplist refresh`, which a timer
# of the package runs, and foomuuri says nothing of it. What was deleted from such a list is back likewise. The commands, their
# exit codes and the listing are the same for both.
. "$(dirname "$0")/lib.sh"
debian13 foomuuri=0.27-2+deb13u1 nftables=1.1.3-1 python3-dbus=1.4.0-1 python3-requests coreutils dash netbase
mkdir -p "$root13"/etc/{foomuuri,ssl/certs} "$root13"/{run,var/lib}/foomuuri
cp /etc/ssl/certs/ca-certificates.crt "$root13/etc/ssl/certs/"
echo "foomuuri 0.27-2+deb13u1, $(inside13 nft --version), kernel $(uname -r)"

wire wan0 isp0
cat >"$root13/etc/foomuuri/gateway.conf" <<'F'
zone {
  localhost
  public wan0
}
iplist {
  @known 198.51.100.7
  @banned
}
public-localhost {
  saddr @known drop
  saddr @banned drop
  ssh
}
localhost-public {
  accept
}
F
foomuuri() { inside13 foomuuri "$@" >"$scratch/said" 2>&1 || { cat "$scratch/said"; echo "exit $?"; }; }
lists() { for list in known banned; do
    echo "$list: $(inside13 nft list set inet foomuuri "${list}_4" | grep -o '[0-9]*\.[0-9]*\.[0-9.]*' | sort | paste -sd' ')"
done; }
foomuuri start
foomuuri iplist refresh
for list in known banned; do foomuuri iplist add "$list" 203.0.113.1 203.0.113.9; done
same "the lists, after adding two addresses to each" "known: 198.51.100.7 203.0.113.1 203.0.113.9
banned: 203.0.113.1 203.0.113.9" "$(lists)"
foomuuri reload
same "after a reload" "known: 198.51.100.7
banned: 203.0.113.1 203.0.113.9" "$(lists)"
for list in known banned; do foomuuri iplist add "$list" 203.0.113.17; done
foomuuri iplist del known 198.51.100.7
foomuuri iplist del banned 203.0.113.9
same "after one more, and one less" "known: 203.0.113.17
banned: 203.0.113.1 203.0.113.17" "$(lists)"
foomuuri iplist refresh known banned
same "after a refresh" "known: 198.51.100.7
banned: 203.0.113.1 203.0.113.17" "$(lists)"
