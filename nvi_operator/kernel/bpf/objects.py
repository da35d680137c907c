"""The shipped programs: compiled from programs/NAME.bpf.c by `make bpf`, in both byte orders. The way in is `load`.

Every object has a constant `build`, a hash of its sources. By it a live program is recognised as the one that this
version would load; its other constants say with which options it was loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from nvi_operator.kernel.bpf import elf, libbpf
from nvi_operator.kernel.bpf.elf import Order
from nvi_operator.kernel.bpf.libbpf import LoadedObject

DIRECTORY = Path(__file__).with_name("objects")
BUILD = "build"


def path(name: str, order: Order = sys.byteorder) -> Path:
    return DIRECTORY / f"{name}.bpf{'el' if order == 'little' else 'eb'}.o"


@cache
def read(name: str, order: Order = sys.byteorder) -> elf.ObjectFile:
    return elf.parse(path(name, order).read_bytes())


def load(
    name: str,
    *,
    constants: Mapping[str, int] | None = None,
    sizes: Mapping[str, int] | None = None,
    reuse: Mapping[str, int] | None = None,
    programs: Collection[str] | None = None,
) -> AbstractContextManager[LoadedObject]:
    """Programs and maps of an object in the kernel, as long as the block lasts or something else holds them.

    `constants` sets `const volatile` variables of the source. For `sizes`, `reuse`, `programs` and the errors:
    `libbpf.loaded`.

    A kernel function (kfunc) must exist in the kernel, or be declared weak. A kernel that lacks it refuses even dead
    calls of it (5.15), and libbpf reads all types of the kernel (about 30 ms) for any: keep them in an object of
    their own.
    """
    about = read(name)
    return libbpf.loaded(
        name,
        about.image,
        rodata=about.with_values(constants or {}),
        sizes=sizes or {},
        reuse=reuse or {},
        programs=programs,
    )


def constants_of(name: str, rodata: bytes) -> dict[str, int] | None:
    """What the constants of a live program say, by its .rodata; None if this version would load another one."""
    about = read(name)
    if len(rodata) != len(about.rodata):
        return None
    values = about.values(rodata)
    return values if values[BUILD] == about.values()[BUILD] else None
