#!/bin/sh
# Makes the guest a gateway as packaging/nvi-operator.service says, and hands over to systemd. Runs as init, in /nvi.
# With the device of a disk (ext4), a gateway's spec and state are there.
set -e

mkdir -p /var/log /var/cache /opt/nvi-operator/.venv/bin
cp -r tests/systemd/root/. /
cat > /opt/nvi-operator/.venv/bin/nvictl <<'END'
#!/bin/sh
PYTHONPATH=/opt/python:/nvi exec python3 -m nvi_operator "$@"
END
chmod 755 /opt/nvi-operator/.venv/bin/nvictl
cp packaging/nvi-operator.service /etc/systemd/system/
install -D -m 644 -t /etc/systemd/networkd.conf.d packaging/networkd/50-nvi-operator.conf

if [ -n "$1" ]; then
    until [ -b "$1" ]; do sleep 0.1; done # the kernel finds it meanwhile
    mkdir /disk
    mount -t ext4 "$1" /disk
    for kept in /etc/nvi-operator /var/lib/nvi-operator; do
        mkdir -p "$kept" "/disk${kept%/*}"
        [ -d "/disk$kept" ] || cp -r "$kept" "/disk$kept"
        mount --bind "/disk$kept" "$kept"
    done
fi

echo 0123456789abcdef0123456789abcdef > /etc/machine-id # without one systemd takes this for a first boot
systemctl --root=/ enable nvi-operator nftables systemd-networkd nvi-test

# A service's sandbox is a root of its own (pivot_root(2)), which needs one that was mounted; an initramfs was not.
mount --rbind / /mnt
cd /mnt
mount --move . /
exec chroot . /lib/systemd/systemd
