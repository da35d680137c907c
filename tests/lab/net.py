"""Hosts are network namespaces, links are veth pairs; everything goes when the Lab is closed."""

from __future__ import annotations

import atexit
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar

from nvi_operator.kernel.netns import enter
from tests.lab.traffic import Flow, Server, connect

T = TypeVar("T")

PREFIX = "nvi"
_labs = count(1)


def until(condition: Callable[[], T], what: str, *, seconds: float = 5.0) -> T:
    """Wait for `condition` to be true, and return its value. AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(0.02)
    return value


class Host:
    """A network namespace. `address` and `address6` are set by whoever gives it some."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self.netns = f"{lab.prefix}-{name}"
        self.address = ""
        self.address6 = ""
        self._servers: list[Server] = []
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        # A thread that lives in the namespace: sockets made there stay there.
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(self.netns,))
        self.write("net/ipv6/conf/default/accept_dad", "0")
        self.write("net/ipv6/conf/all/accept_dad", "0")
        self.ip("link set dev lo up")

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._thread.shutdown()
        subprocess.run(["ip", "netns", "del", self.netns], check=False, capture_output=True)

    # ---------------------------------------------------------------- running things

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in this host's namespace (in one thread per host)."""
        return self._thread.submit(function, *arguments).result()

    def run(
        self, *argv: str, check: bool = True, timeout: float = 30.0, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there; its output is in the result. CalledProcessError if it fails and `check`."""
        command = ["ip", "netns", "exec", self.netns, *argv]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=text, check=False)
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(["ip", "netns", "exec", self.netns, *argv], text=True, **options)

    def ip(self, *lines: str) -> None:
        """Lines for `ip -batch`."""
        command = ["ip", "-n", self.netns, "-batch", "-"]
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{self.name}: ip: {done.stderr.strip()}: {lines}")

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", text=text)

    def read(self, sysctl: str) -> str:
        def read() -> str:
            with open(f"/proc/sys/{sysctl}", encoding="ascii") as file:
                return file.read().strip()

        return self.call(read)

    def write(self, sysctl: str, value: str) -> None:
        def write() -> None:
            with open(f"/proc/sys/{sysctl}", "w", encoding="ascii") as file:
                file.write(value)

        self.call(write)

    def counter(self, table: str, name: str) -> int:
        """Packets of a named nft counter of a table `inet TABLE`."""
        listing = self.run("nft", "list", "counter", "inet", table, name).stdout
        found = re.search(r"packets (\d+)", listing)
        assert found, listing
        return int(found[1])

    # ---------------------------------------------------------------- traffic

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        return self.call(socket.socket, family, kind, protocol)

    def serve(self, port: int, *, protocol: str = "tcp", address: str | None = None) -> None:
        """Answer on a port with what is seen of the asker. Both families, unless `address` says one."""
        addresses = [address] if address else [a for a in (self.address, self.address6) if a]
        self._servers += [Server(self, a, port, protocol) for a in addresses]

    def connect(
        self, address: str, port: int, *, protocol: str = "tcp", source: str | None = None, source_port: int = 0
    ) -> Flow:
        """Talk to a server of `serve`; AssertionError if it does not answer in time."""
        return connect(self, address, port, protocol, source, source_port)

    def reaches(self, address: str, port: int, *, protocol: str = "tcp", source: str | None = None) -> bool:
        try:
            with connect(self, address, port, protocol, source, 0, timeout=1.0):
                return True
        except (OSError, AssertionError):
            return False

    def inject(self, ifname: str, packet: bytes, *, to: str) -> None:
        """Send an IP packet as it is, in a frame to the MAC address `to`: for sources that are not ours."""
        ethertype = 0x86DD if packet[0] >> 4 == 6 else 0x0800
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((ifname, ethertype))
            source = bytes.fromhex(self.mac(ifname).replace(":", ""))  # a bridge drops frames from 0
            frame = bytes.fromhex(to.replace(":", "")) + source + ethertype.to_bytes(2, "big")
            raw.send(frame + packet)

    def mac(self, ifname: str) -> str:
        return self.run("cat", f"/sys/class/net/{ifname}/address").stdout.strip() or ""

    def ping(
        self, address: str, *, size: int = 56, df: bool = False, ttl: int = 64, wait: float = 1.0, source: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """One echo request; returncode 0 if it was answered."""
        options = ["-n", "-c1", f"-W{wait:g}", f"-s{size}", f"-t{ttl}", *(["-Mdo"] if df else [])]
        options += ["-I", source] if source else []
        return self.run("ping", *options, address, check=False)

    def pings(self, address: str, **options: Any) -> bool:
        return self.ping(address, **options).returncode == 0


class Lab:
    """A set of hosts with names of their own, so that several laboratories can be side by side."""

    def __init__(self, *, keep: bool = False) -> None:
        self.prefix = f"{PREFIX}{os.getpid()}.{next(_labs)}"
        self.hosts: dict[str, Host] = {}
        self.keep = keep
        atexit.register(self.close)
        # SIGTERM becomes an ordinary exit, so that `with` and atexit do their work.
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda *_: exit(143))

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        atexit.unregister(self.close)
        if not self.keep:
            for host in self.hosts.values():
                host.close()
            self.hosts.clear()

    def host(self, name: str) -> Host:
        host = self.hosts[name] = Host(self, name)
        return host

    def link(self, one: Host, ifname: str, other: Host, other_ifname: str, *, mtu: int = 1500) -> None:
        """A veth pair between two hosts, up at both ends."""
        ends = f"name {ifname} mtu {mtu} netns {one.netns}", f"name {other_ifname} mtu {mtu} netns {other.netns}"
        subprocess.run(f"ip link add {ends[0]} type veth peer {ends[1]}".split(), check=True)
        one.ip(f"link set dev {ifname} up")
        other.ip(f"link set dev {other_ifname} up")


def clean() -> list[str]:
    """Remove namespaces of laboratories whose process is gone; their names."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    gone = [n for n in names if (m := re.match(PREFIX + r"(\d+)\.\d+-", n)) and not os.path.exists(f"/proc/{m[1]}")]
    for name in gone:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return gone
