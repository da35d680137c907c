"""Programs that run in the kernel: found by their number, recognised by their constants."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from nvi_operator.kernel.bpf import objects, syscall
from nvi_operator.kernel.bpf.elf import RODATA
from nvi_operator.kernel.bpf.maps import MapInfo


@contextmanager
def opened_program(number: int) -> Iterator[int]:
    fd = syscall.program_fd(number)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def opened_maps(number: int) -> Iterator[dict[str, int]]:
    """File descriptors of a program's maps, by name: `.rodata` for that of its constants."""
    with ExitStack() as stack:
        fd = stack.enter_context(opened_program(number))
        maps: dict[str, int] = {}
        for map_id in syscall.program_info(fd).map_ids:
            map_fd = syscall.map_fd(map_id)
            stack.enter_context(closing(os.fdopen(map_fd, "rb", buffering=0)))
            name = syscall.map_info(map_fd).name
            maps[RODATA if name.endswith(RODATA) else name] = map_fd
        yield maps


def read_constants(name: str, maps: Mapping[str, int], expected: Collection[MapInfo]) -> dict[str, int] | None:
    """Constants of a live program by its maps, without its `build`; None if it is not what this version would load
    from that object, with maps of this form.
    """
    if maps.keys() != {RODATA, *(info.name for info in expected)}:
        return None
    if {syscall.map_info(maps[info.name]) for info in expected} != set(expected):
        return None
    size = syscall.map_info(maps[RODATA]).value_size
    rodata = syscall.lookup(maps[RODATA], bytes(4), size)
    found = objects.constants_of(name, rodata) if rodata is not None else None
    return None if found is None else {key: value for key, value in found.items() if key != objects.BUILD}


def read_counters(fd: int, reasons: Collection[str]) -> dict[str, int]:
    """Packets by reason, summed over the CPUs: the index of a counter is the place of its reason."""
    cpus = syscall.possible_cpus()
    raw = {reason: syscall.lookup(fd, struct.pack("=I", index), 8 * cpus) for index, reason in enumerate(reasons)}
    return {reason: sum(struct.unpack(f"={cpus}Q", value)) for reason, value in raw.items() if value is not None}
