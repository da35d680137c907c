"""The generations of live flow caches: numbers in memory that the programs share, which only grow.

A cached flow is good while the sum of three is what it was: the gateway's, and those of both its interfaces. After
an increment its next packets take the slow path, which confirms the flow, changes it or drops it.

Increments are not atomic, so each number has one writer: that of the gateway belongs to whoever holds the gateway's
lock, those of the interfaces to the daemon, of which there is one.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from nvi_operator.errors import NviError
from nvi_operator.kernel.bpf import syscall
from nvi_operator.kernel.bpf.flow_cache import ENTRY_SIZE, GENERATIONS_ENTRIES, KEY_SIZE, generation_key
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.kmod.device import read_counters, split_counters
from nvi_operator.kernel.kmod.flow_cache import ModuleFlowCache
from nvi_operator.language.model.values import Family

_WORDS = 2  # of 32 bits in each element: array_map_alloc() rounds their size up to 8 bytes
_INTERFACES = range(1, GENERATIONS_ENTRIES)


class Generations:
    """The generations of the caches that were found last, none at first. Several threads may use it, see above."""

    def __init__(self) -> None:
        self._maps: Mapping[int, memoryview] = {}
        self._flows: tuple[tuple[Family, int], ...] = ()
        self._devices: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        """Is there a cache?"""
        return bool(self._maps or self._devices)

    def follow(self, maps: Mapping[int, int], flows: Collection[tuple[Family, int]] = ()) -> None:
        """Follow these generations from now on: a descriptor, valid for this call, by the map's number.

        `flows` are the families and numbers of the maps that hold the flows.
        """
        self._maps = {number: self._maps.get(number) or _mapped(fd) for number, fd in maps.items()}
        self._flows = tuple(flows)

    def count(self) -> int:
        """How many flows there are, each direction counted; 0 for maps and devices that have gone."""
        maps = sum(_count(family, number) for family, number in self._flows)
        return maps + sum(map(_entries, self._devices))

    def follow_devices(self, ifindexes: Iterable[int]) -> None:
        """Devices of the module that have a flow cache: it counts its generations itself, and is told to."""
        self._devices = tuple(ifindexes)

    def gateway_changed(self) -> None:
        """Confirm every flow again."""
        self._increment((0,))
        self._tell_devices(None)

    def interfaces_changed(self, ifindexes: Iterable[int] | None = None) -> None:
        """Confirm the flows again that come in or leave by these interfaces; None: by any."""
        changed = None if ifindexes is None else set(ifindexes)
        self._increment(_INTERFACES if changed is None else map(_index, changed))
        self._tell_devices(changed)

    def _increment(self, indexes: Iterable[int]) -> None:
        for words in self._maps.values():
            for index in indexes:
                words[_WORDS * index] = words[_WORDS * index] + 1 & 0xFFFFFFFF

    def _tell_devices(self, changed: Iterable[int] | None) -> None:
        for device in self._devices:
            with suppress(OSError), ModuleFlowCache(device) as cache:  # it has gone, or is down: nothing is cached
                for ifindex in (None,) if changed is None else changed:
                    cache.invalidate(ifindex)


def _index(ifindex: int) -> int:
    return int.from_bytes(generation_key(ifindex), sys.byteorder)


def _count(family: Family, number: int) -> int:
    try:
        fd = syscall.map_fd(number)
    except NviError:
        return 0
    try:
        return syscall.count_elements(fd, KEY_SIZE[family], ENTRY_SIZE[family])
    finally:
        os.close(fd)


def _entries(device: int) -> int:
    try:
        return split_counters(read_counters(socket.if_indextoname(device)))[1].get("entries", 0)
    except (OSError, NviError):
        return 0


def _mapped(fd: int) -> memoryview:
    """In the machine's words: each is written by one instruction, so that no program sees half of it."""
    with kernel_errors("flow cache: mapping its generations"):
        memory = mmap.mmap(fd, GENERATIONS_ENTRIES * _WORDS * 4)
    return memoryview(memory).cast("I")
