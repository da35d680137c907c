"""Programs at an interface by tcx, without a link: they outlive the process, and nothing is pinned. Linux 6.6.

tcx programs run before all tc filters, in an order that whoever attaches chooses. One that answers TC_ACT_UNSPEC
hands on to the next, and the last of them to the filters of clsact.
Source: struct of BPF_PROG_ATTACH, BPF_PROG_DETACH and BPF_PROG_QUERY in union bpf_attr; kernel/bpf/mprog.c.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.kernel.bpf.syscall import bpf, program_name

Hook = Literal["ingress", "egress"]
Order = Literal["first", "last"]

TYPES: Mapping[Hook, int] = MappingProxyType({"ingress": 46, "egress": 47})  # enum bpf_attach_type
_ATTACH, _DETACH, _QUERY = 8, 9, 16
# BPF_F_*; BEFORE and AFTER of no program: all of them. ID: the program beside is given by its number.
_REPLACE, _BEFORE, _AFTER, _ID = 1 << 2, 1 << 3, 1 << 4, 1 << 5
_ORDERS: Mapping[Order, int] = MappingProxyType({"first": _BEFORE, "last": _AFTER})
_CHANGE = struct.Struct("=IIIIIIQ")  # interface, program, type, flags, replaced, beside, expected revision
_LIST = struct.Struct("=IIIIQIIQQQQ")
_COUNT, _REVISION = 24, 56  # where they are in the answer
_MOST = 64  # BPF_MPROG_MAX
_LOOPBACK = 1  # every namespace has it


@dataclass(frozen=True)
class Listing:
    """Numbers of the programs of one hook, in the order in which they run."""

    programs: tuple[int, ...]
    revision: int  # it grows with every change of them


@cache
def available() -> bool:
    """Does this kernel have tcx?"""
    try:
        programs(_LOOPBACK, "ingress")
    except NviError:
        return False
    return True


def programs(ifindex: int, hook: Hook) -> Listing:
    """Raises KernelError before Linux 6.6 or without the interface, CapabilityError without the rights."""
    ids = (ctypes.c_uint32 * _MOST)()
    attr = _LIST.pack(ifindex, TYPES[hook], 0, 0, ctypes.addressof(ids), len(ids), 0, 0, 0, 0, 0)
    _, answer = bpf(_QUERY, attr, f"bpf programs at {hook} of interface {ifindex}: listing")
    (count,) = struct.unpack_from("=I", answer, _COUNT)
    (revision,) = struct.unpack_from("=Q", answer, _REVISION)
    return Listing(tuple(ids[:count]), revision)


def named(ifindex: int, hook: Hook) -> tuple[str, ...]:
    """The programs of a hook in their order, by name and number. None before Linux 6.6, nor without the rights."""
    try:
        numbers = programs(ifindex, hook).programs
    except NviError:
        return ()
    return tuple(f"{program_name(number) or 'program'} {number}" for number in numbers)


def attach(ifindex: int, hook: Hook, fd: int, order: Order, revision: int, *, behind: int | None = None) -> None:
    """`behind`: right behind the program of that number, in place of `order`.

    Raises KernelError: a transient one if the programs have changed since `revision`.
    """
    flags = _ORDERS[order] if behind is None else _AFTER | _ID
    _change(_ATTACH, "attaching", ifindex, hook, fd, flags, 0, revision, beside=behind or 0)


def replace(ifindex: int, hook: Hook, fd: int, previous: int, revision: int) -> None:
    """Replace a program in one step, at the same place. `previous` is the descriptor of the one that runs there."""
    _change(_ATTACH, "replacing", ifindex, hook, fd, _REPLACE, previous, revision)


def detach(ifindex: int, hook: Hook, fd: int, revision: int) -> None:
    _change(_DETACH, "detaching", ifindex, hook, fd, 0, 0, revision)


def _change(
    command: int,
    what: str,
    ifindex: int,
    hook: Hook,
    fd: int,
    flags: int,
    previous: int,
    revision: int,
    *,
    beside: int = 0,
) -> None:
    attr = _CHANGE.pack(ifindex, fd, TYPES[hook], flags, previous, beside, revision)
    bpf(command, attr, f"bpf program at {hook} of interface {ifindex}: {what}")
