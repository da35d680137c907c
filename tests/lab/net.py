"""Hosts are network namespaces, links are veth pairs; all are removed when the Lab is closed."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

from tests.lab.host import Host
from tests.lab.leftovers import PREFIX, namespaces, remove, stale, undisturbed

__all__ = ["Host", "Lab", "clean", "until"]

T = TypeVar("T")

_labs = count(1)


def until(condition: Callable[[], T], what: str, *, seconds: float = 5.0) -> T:
    """Wait for `condition` to be true, and return its value. AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(0.02)
    return value


class Lab:
    """A set of hosts with names of their own, so that several laboratories can be side by side.

    It is closed by `with`, at the end of the process, and by SIGINT, SIGTERM and SIGHUP; after SIGKILL by
    `python -m tests.lab clean`.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.prefix = f"{PREFIX}{os.getpid()}.{next(_labs)}"
        self.hosts: dict[str, Host] = {}
        self.keep = keep
        self._links: list[str] | None = None
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            # These become an ordinary exit, so that `with` and atexit do their work.
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, lambda sent, _: sys.exit(128 + sent))

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it all; with `keep` only what this process has there."""
        with undisturbed():
            for host in self.hosts.values():
                host.close()
            self.hosts.clear()
            if not self.keep:
                # By name, since a signal may have come between a namespace and its entry in `hosts`.
                remove(namespaces(f"{self.prefix}-"))
            atexit.unregister(self.close)

    def host(self, name: str) -> Host:
        host = self.hosts[name] = Host(name, f"{self.prefix}-{name}")
        if self._links is not None:
            host.later()
        return host

    def link(self, one: Host, ifname: str, other: Host, other_ifname: str, *, mtu: int = 1500) -> None:
        """A veth pair between two hosts, up at both ends."""
        ends = f"name {ifname} mtu {mtu} netns {one.netns}", f"name {other_ifname} mtu {mtu} netns {other.netns}"
        made = f"link add {ends[0]} type veth peer {ends[1]}"
        if self._links is None:
            _ip([made])
        else:
            self._links.append(made)
        one.ip(f"link set dev {ifname} up")
        other.ip(f"link set dev {other_ifname} up")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, links and lines for `ip` are collected: they are made at the end, links first, a program a host."""
        self._links = []
        for host in self.hosts.values():
            host.later()
        yield
        made, self._links = self._links, None
        _ip(made)
        for host in self.hosts.values():
            host.now()


def _ip(lines: list[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="".join(f"{line}\n" for line in lines), text=True, check=True)


def clean(prefix: str = PREFIX) -> list[str]:
    """Remove namespaces of laboratories whose process has ended; their names."""
    gone = stale(prefix)
    remove(gone)
    return gone
