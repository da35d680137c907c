"""OpenSSH's server with git repositories, in a host of the laboratory: what a forge is to an operator."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from tests.lab.command import ROOT
from tests.lab.net import Host, until

UNPACKED = ROOT / "build/openssh"  # by `make build/openssh`
PORT = 22

# Before a login the server is the user `sshd`; `git` logs in. They are of the mount namespace that `ip netns exec`
# makes, as is what the server needs below /run and /usr/lib.
_USERS = """\
root:x:0:0::/root:/bin/sh
sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin
git:*:0:0::/:/bin/sh
"""
_START = """\
set -e
mount --bind "$1/passwd" /etc/passwd
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind "$2/usr/lib/openssh" /usr/lib/openssh
exec "$2/usr/sbin/sshd" -D -e -f "$1/sshd_config"
"""
_CONFIG = """\
ListenAddress {address}:{port}
HostKey {directory}/{host_key}
AuthorizedKeysFile {directory}/authorized_keys
AuthenticationMethods publickey
StrictModes no
UsePAM no
PidFile none
"""


class SshGit:
    """The repositories of this machine, for `git@ADDRESS` with the private key in the file `key`.

    `known_hosts` is a file with the host's key.
    """

    def __init__(self, host: Host, directory: Path) -> None:
        assert (UNPACKED / "usr/sbin/sshd").exists(), f"no server of OpenSSH: make {UNPACKED.relative_to(ROOT)}"
        self.host = host
        self.directory = directory
        self.directory.mkdir()
        self._process: subprocess.Popen[str] | None = None
        (directory / "passwd").write_text(_USERS)
        self.key = self.make_key("deploy")
        (directory / "authorized_keys").write_text(self._public("deploy"))
        self.known_hosts = directory / "known_hosts"
        self.start("host")
        self.know("host")

    def make_key(self, name: str) -> Path:
        made = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", made], check=True)
        return made

    def know(self, host_key: str) -> None:
        """Pin this key of the host, and no other."""
        self.known_hosts.write_text(f"{self.host.address} {self._public(host_key)}")

    def start(self, host_key: str) -> None:
        """Serve from now on under a new key of this name."""
        self.close()
        self.make_key(host_key)
        place = {"address": self.host.address, "port": PORT, "directory": self.directory}
        (self.directory / "sshd_config").write_text(_CONFIG.format(**place, host_key=host_key))
        libraries = ":".join(str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu"))
        with (self.directory / "log").open("a") as log:
            self._process = self.host.popen(
                *("sh", "-c", _START, "sshd", str(self.directory), str(UNPACKED)),
                env={**os.environ, "LD_LIBRARY_PATH": libraries},
                stdout=log,
                stderr=log,
            )
        until(lambda: self.host.call(self._listens), "the server listens", seconds=20)

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _public(self, name: str) -> str:
        return (self.directory / f"{name}.pub").read_text()

    def _listens(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex((self.host.address, PORT)) == 0
