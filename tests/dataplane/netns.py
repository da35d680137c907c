"""Network namespaces, and commands in them."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar

from nvi_operator.kernel.netns import enter

T = TypeVar("T")

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # netdevice(7)

_numbers = count(1)


# What takes a millisecond takes ten on an emulated CPU with the kernel's own checks (tests/vm/guest.py).
SLOWNESS = 10 if "NVI_REPORT" in os.environ else 1


def until(condition: Callable[[], T], what: str, *, seconds: float = 15.0) -> T:
    """Wait for `condition` to be true, and return its value. `seconds` of a CPU that is not emulated."""
    seconds *= SLOWNESS
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"timed out after {seconds:g} s: {what}"
        time.sleep(0.002)
    return value


class Netns:
    """A network namespace, and a thread that lives in it: sockets made there stay there."""

    def __init__(self, name: str) -> None:
        self.name = f"nvibpf-{os.getpid()}-{next(_numbers)}{name}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self._closed = False
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(self.name,))
        self.sysctls({"net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0})
        self.call(_up, "lo")

    def close(self) -> None:
        """Waits for the thread, which keeps the namespace alive. Closing again does nothing."""
        self._thread.shutdown()
        if not self._closed:
            subprocess.run(["ip", "netns", "del", self.name], check=True)
            self._closed = True

    def call(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return self._thread.submit(function, *arguments, **options).result()

    def run(self, command: str, *, text: str | None = None, check: bool = True) -> str:
        argv = ["ip", "netns", "exec", self.name, *command.split()]
        done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False)
        assert not (check and done.returncode), f"{command}: {done.stderr or done.stdout}"
        return done.stdout

    def ip(self, *lines: str, family: str = "") -> None:
        """Lines for `ip -batch`: one process for all of them; `family` -4 or -6 where the lines do not say it."""
        command = ["ip", *([family] if family else []), "-n", self.name, "-batch", "-"]
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert not done.returncode, f"ip: {done.stderr}: {lines}"

    def sysctls(self, values: Mapping[str, int]) -> None:
        def write() -> None:
            for name, value in values.items():
                with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
                    file.write(str(value))

        self.call(write)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        made = self.call(socket.socket, family, kind, protocol)
        made.settimeout(2)
        return made

    def pings(self, address: str, *options: str, seconds: float = 1.0) -> bool:
        command = f"ping -n -q -c1 -W{seconds:g} {' '.join(options)} {address}"
        argv = ["ip", "netns", "exec", self.name, *command.split()]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def nft(self, text: str) -> None:
        self.run("nft -f -", text=text)

    def count(self, name: str, *matches: str, hook: str = "prerouting", priority: int = -460) -> None:
        """Count packets that match one of `matches`, as `name`."""
        rules = "".join(f"{match} counter name {name}\n" for match in matches)
        chain = f"chain {name} {{ type filter hook {hook} priority {priority};\n{rules} }}"
        self.nft(f"table inet watch {{\ncounter {name} {{ }}\n{chain}\n}}")

    def packets(self, counter: str, *, reset: bool = False) -> tuple[int, int]:
        """Packets and bytes of a named counter of table `inet watch`; with `reset` it then begins from 0."""
        verb = "reset" if reset else "list"
        found = re.search(r"packets (\d+) bytes (\d+)", self.run(f"nft {verb} counter inet watch {counter}"))
        assert found
        return int(found[1]), int(found[2])


def _up(ifname: str) -> None:
    """Without a process of its own: in an emulated guest one takes a third of a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh22x", ifname.encode(), _IFF_UP))


Wire = tuple[Netns, str, Netns, str]


def wires(*pairs: Wire) -> None:
    """Pairs of veth, down, by one process."""
    ends = (f"link add {a} netns {one.name} type veth peer name {b} netns {two.name}\n" for one, a, two, b in pairs)
    subprocess.run(["ip", "-batch", "-"], input="".join(ends), text=True, check=True)


def wire(one: Netns, ifname: str, other: Netns, other_ifname: str) -> None:
    """A pair that is up."""
    wires((one, ifname, other, other_ifname))
    one.ip(f"link set {ifname} up")
    other.ip(f"link set {other_ifname} up")
