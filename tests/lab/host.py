"""A host is a network namespace with a thread in it: commands, settings, sockets, packets.

What tests do all the time is done without starting a program, which on an emulated machine takes longer than all the
rest.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import nftables

from nvi_operator.kernel.netns import enter
from nvi_operator.simulate.fresh import write_fresh
from tests.lab.leftovers import undisturbed
from tests.lab.traffic import Flow, Server, connect

T = TypeVar("T")

_LIBNFTABLES = threading.Lock()  # contexts share a parser
# These need no /sys of the namespace, which `ip netns exec` mounts; for that it takes longer than they do.
_WITHOUT_SYSFS = frozenset({"ip", "nft", "tc"})

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCGIFHWADDR = 0x8913, 0x8914, 0x8927  # include/uapi/linux/sockios.h
_IFREQ = struct.Struct("=16sH22x")  # struct ifreq, with flags, or with an address after its type
_ETHER, _LOOPBACK = 1, 772  # ARPHRD_*
_UP = 1  # IFF_UP


class Host:
    """A network namespace. `address` and `address6` are set by whoever gives it some."""

    def __init__(self, name: str, netns: str) -> None:
        self.name = name
        self.netns = netns
        self.address = ""
        self.address6 = ""
        self.ports = 0  # of a bridge
        self._servers: list[Server] = []
        self._later: list[str] | None = None
        self._libnftables: nftables.Nftables | None = None
        # A signal while Python forks would leave a child that is not waited for and makes the namespace after the
        # cleanup.
        with undisturbed():
            subprocess.run(["ip", "netns", "add", self.netns], check=True, process_group=0)
        # A thread that lives in the namespace: sockets made there stay there.
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(self.netns,))
        self.call(write_fresh)
        self.call(_bring_up, "lo")

    def close(self) -> None:
        """End what this process has there. Whoever made the namespace also removes it (`leftovers.remove`)."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._libnftables = None
        self._thread.shutdown(cancel_futures=True)

    # ---------------------------------------------------------------- running things

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function in this host's namespace (in one thread per host)."""
        return self._thread.submit(function, *arguments).result()

    def run(
        self, *argv: str, check: bool = True, timeout: float = 30.0, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there; its output is in the result. AssertionError if it fails and `check`."""
        options: Any = {"capture_output": True, "text": True, "timeout": timeout, "input": text, "check": False}
        if argv[0] in _WITHOUT_SYSFS:
            done = self.call(partial(subprocess.run, argv, **options))
        else:
            done = subprocess.run(["ip", "netns", "exec", self.netns, *argv], **options)
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """A command that runs on; it is ended with the laboratory, if not before."""
        return subprocess.Popen(["ip", "netns", "exec", self.netns, *argv], text=True, **options)

    def ip(self, *lines: str) -> None:
        """Lines for `ip -batch`."""
        if self._later is not None:
            self._later += lines
            return
        command = ["ip", "-n", self.netns, "-batch", "-"]
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{self.name}: ip: {done.stderr.strip()}: {lines}")

    def later(self) -> None:
        """Lines for `ip` are collected, until `now`: one program for all of them."""
        self._later = []

    def now(self) -> None:
        lines, self._later = self._later, None
        if lines:
            self.ip(*lines)

    def rename(self, ifname: str, new: str) -> None:
        """Live, if the kernel can do that (Linux 6.2); else the interface is down for a moment."""
        if self.run("ip", "link", "set", ifname, "name", new, check=False).returncode:
            self.ip(f"link set dev {ifname} down", f"link set dev {ifname} name {new}", f"link set dev {new} up")

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", text=text)

    def libnftables(self, text: str) -> list[Any]:
        """Run nft text without starting nft; what it lists, as JSON. Only for tables that cannot crash it."""

        def run() -> tuple[int, str, str]:
            with _LIBNFTABLES:
                if self._libnftables is None:
                    self._libnftables = nftables.Nftables()
                    self._libnftables.set_json_output(True)
                code, output, error = self._libnftables.cmd(text)
                return code, output, error

        code, output, error = self.call(run)
        if code:
            raise AssertionError(f"{self.name}: nft: {error.strip()}")
        return json.loads(output)["nftables"] if output else []

    def read(self, sysctl: str) -> str:
        def read() -> str:
            with open(f"/proc/sys/{sysctl}", encoding="ascii") as file:
                return file.read().strip()

        return self.call(read)

    def write(self, sysctl: str, value: str) -> None:
        self.call(_write, sysctl, value)

    def counters(self, table: str) -> dict[str, int]:
        """Packets of the named nft counters of a table `inet TABLE`."""
        listed = (entry.get("counter") for entry in self.libnftables(f"list counters table inet {table}"))
        return {counter["name"]: counter["packets"] for counter in listed if counter}

    def counter(self, table: str, name: str) -> int:
        return self.counters(table)[name]

    # ---------------------------------------------------------------- traffic

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        return self.call(socket.socket, family, kind, protocol)

    def serve(self, port: int = 0, *, protocol: str = "tcp", address: str | None = None) -> None:
        """Answer on a port with what is seen of the asker. Both families, unless `address` says one.

        `icmp` has no port; it answers the echo requests of `connect`, beside the kernel's own replies.
        """
        addresses = [address] if address else [a for a in (self.address, self.address6) if a]
        assert addresses, f"{self.name} has no address to serve on"
        self._servers += [Server(self, a, port, protocol) for a in addresses]

    def connect(
        self,
        address: str,
        port: int = 0,
        *,
        protocol: str = "tcp",
        source: str | None = None,
        source_port: int = 0,
        df: bool = False,
    ) -> Flow:
        """Talk to a server of `serve`; AssertionError if it does not answer in time.

        `df`: UDP datagrams say "do not fragment". For `icmp` the source port is the identifier.
        """
        return connect(self, address, port, protocol, source, source_port, df=df)

    def reaches(self, address: str, port: int = 0, *, protocol: str = "tcp", source: str | None = None) -> bool:
        try:
            with connect(self, address, port, protocol, source, 0, timeout=1.0):
                return True
        except (OSError, AssertionError):
            return False

    def inject(self, ifname: str, packet: bytes, *, to: str) -> None:
        """Send an IP packet as it is, in a frame to the MAC address `to`: for sources that the host does not have."""
        ethertype = 0x86DD if packet[0] >> 4 == 6 else 0x0800
        with self.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind((ifname, ethertype))
            source = bytes.fromhex(self.mac(ifname).replace(":", ""))  # a bridge drops frames from 0
            frame = bytes.fromhex(to.replace(":", "")) + source + ethertype.to_bytes(2, "big")
            raw.send(frame + packet)

    def mac(self, ifname: str) -> str:
        """Empty, where an interface has none."""
        return self.call(_mac, ifname)

    def ping(
        self, address: str, *, size: int = 56, df: bool = False, ttl: int = 64, wait: float = 1.0, source: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """One echo request; returncode 0 if it was answered."""
        options = ["-n", "-c1", f"-W{wait:g}", f"-s{size}", f"-t{ttl}", *(["-Mdo"] if df else [])]
        options += ["-I", source] if source else []
        return self.run("ping", *options, address, check=False)

    def pings(self, address: str, **options: Any) -> bool:
        return self.ping(address, **options).returncode == 0


def _ifreq(ifname: str, request: int, value: int = 0) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, request, _IFREQ.pack(ifname.encode(), value))


def _bring_up(ifname: str) -> None:
    _, flags = _IFREQ.unpack(_ifreq(ifname, _SIOCGIFFLAGS))
    _ifreq(ifname, _SIOCSIFFLAGS, flags | _UP)


def _mac(ifname: str) -> str:
    found = _ifreq(ifname, _SIOCGIFHWADDR)
    _, kind = _IFREQ.unpack(found)
    return found[18:24].hex(":") if kind in (_ETHER, _LOOPBACK) else ""


def _write(sysctl: str, value: str) -> None:
    with open(f"/proc/sys/{sysctl}", "w", encoding="ascii") as file:
        file.write(value)
