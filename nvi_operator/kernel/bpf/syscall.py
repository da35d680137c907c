"""bpf(2) through ctypes. Layouts: union bpf_attr in include/uapi/linux/bpf.h."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError, KernelError, NviError
from nvi_operator.kernel.bpf.maps import ARRAY, MapInfo
from nvi_operator.kernel.errors import TRANSIENT

_NR = {
    "x86_64": 321,
    "i686": 357,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "armv7l": 386,
    "ppc64le": 361,
    "ppc64": 361,
    "s390x": 351,
}
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY, _PROG_LOAD = range(6)
_MAP_LOOKUP_BATCH = 24
_PROG_FD_BY_ID, _MAP_FD_BY_ID, _OBJ_INFO = 13, 14, 15
_MAP_FREEZE = 22

_SCHED_CLS = 3
_LOG_SIZE = 1 << 16
_ATTEMPTS = 5
_BATCH = struct.Struct("=QQQQIIQQ")  # in, out, keys, values, count, map, flags of elements, flags
_BATCH_COUNT = 32  # where the count is
_MOST_IN_BATCH = 4096
_CHANGED = TRANSIENT | {errno.ESTALE}  # mprog.c: the programs of the place are not those that were listed
_LIBC = ctypes.CDLL(None, use_errno=True)
_SHORTEST = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)  # r0 = 0; exit


@dataclass(frozen=True)
class ProgramInfo:
    """What the kernel says of a loaded program."""

    name: str
    tag: bytes
    map_ids: tuple[int, ...]


def bpf(command: int, attr: bytes, what: str, *, answers: Collection[int] = ()) -> tuple[int, bytes]:
    """The result and the attributes as the kernel left them. Raises KernelError or CapabilityError.

    The error codes in `answers` are results as well, as negative numbers.
    """
    number = _NR.get(platform.machine())
    if number is None:
        raise CapabilityError(f"{what}: the number of bpf(2) on {platform.machine()} is not known here")
    buffer = ctypes.create_string_buffer(attr, len(attr))
    code = errno.EAGAIN
    for _ in range(_ATTEMPTS):
        result = _LIBC.syscall(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(len(attr)))
        if result >= 0:
            return result, buffer.raw
        code = ctypes.get_errno()
        if code in answers:
            return -code, buffer.raw
        if code != errno.EAGAIN:  # the verifier gives up when a signal comes: bpf_check(), signal_pending()
            break
    raise _refused(command, what, code)


def _refused(command: int, what: str, code: int) -> KernelError | CapabilityError:
    text = f"{what}: {os.strerror(code)}"
    if code == errno.EPERM:  # EACCES is the verifier's
        # bpf_prog_get_fd_by_id() and bpf_map_get_fd_by_id() ask for CAP_SYS_ADMIN, which includes CAP_BPF.
        needed = "CAP_SYS_ADMIN" if command in (_PROG_FD_BY_ID, _MAP_FD_BY_ID) else "CAP_NET_ADMIN and CAP_SYS_ADMIN"
        return CapabilityError(text, hint=f"eBPF needs root of the host itself, or {needed} there")
    if code == errno.ENOSYS:
        return CapabilityError(text, hint="this kernel was built without CONFIG_BPF_SYSCALL")
    error = KernelError(text, transient=code in _CHANGED)
    error.__cause__ = OSError(code, os.strerror(code))
    return error


def create_map(info: MapInfo) -> int:
    """A new map's file descriptor."""
    sizes = (info.kind, info.key_size, info.value_size, info.entries, info.flags)
    attr = struct.pack("=IIIIIII16s", *sizes, 0, 0, info.name.encode())
    return bpf(_MAP_CREATE, attr, f"bpf map {info.name}: creating")[0]


def may_load() -> bool:
    """May this process load and look up programs and maps, as a reconcile does?"""
    try:
        try_programs()
    except (KernelError, CapabilityError):
        return False
    return True


def try_programs() -> None:
    """What a reconcile does with programs and maps: make one, and find it by its number. Nothing is left behind.

    With the shortest program: a verdict of 0. Raises CapabilityError or KernelError.
    """
    with ExitStack() as stack:
        fd = load_program(_SHORTEST, "nvi_probe")
        stack.callback(os.close, fd)
        stack.callback(os.close, program_fd(_number(fd)))
        fd = create_map(MapInfo("nvi_probe", ARRAY, 4, 4, 1))
        stack.callback(os.close, fd)
        stack.callback(os.close, map_fd(_number(fd)))


def _number(fd: int) -> int:
    """`id`, the second field of both struct bpf_prog_info and struct bpf_map_info."""
    return int(struct.unpack_from("=I", _info(fd, bytearray(8)), 4)[0])


def load_program(code: bytes, name: str) -> int:
    """A new program's file descriptor; the verifier's last words are in the error."""
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG_SIZE)

    def attr(level: int) -> bytes:
        return struct.pack(
            "=IIQQIIQII16s",
            _SCHED_CLS,
            len(code) // 8,
            ctypes.addressof(instructions),
            ctypes.addressof(licence),
            level,
            _LOG_SIZE if level else 0,
            ctypes.addressof(log) if level else 0,
            0,
            0,
            name.encode(),
        )

    what = f"bpf program {name}: loading"
    try:
        return bpf(_PROG_LOAD, attr(0), what)[0]
    except KernelError:
        try:
            return bpf(_PROG_LOAD, attr(1), what)[0]
        except KernelError as error:
            words = log.value.decode(errors="replace").strip().splitlines()[-3:]
            raise KernelError(
                f"{error.message}: {' / '.join(words) or 'the verifier gave no reason'}",
                hint="Linux 5.15 or newer is needed; a newer one that refuses the program is a bug worth reporting",
            ) from error


def _element(fd: int, key: bytes, value: ctypes.Array[ctypes.c_char] | None) -> tuple[bytes, object]:
    buffer = ctypes.create_string_buffer(key, len(key))
    address = ctypes.addressof(value) if value is not None else 0
    return struct.pack("=IIQQQ", fd, 0, ctypes.addressof(buffer), address, 0), buffer


def lookup(fd: int, key: bytes, size: int) -> bytes | None:
    """The value; None where there is none. `size` is of the value, over all CPUs for a per-CPU map."""
    value = ctypes.create_string_buffer(size)
    attr, buffer = _element(fd, key, value)
    try:
        bpf(_MAP_LOOKUP, attr, "bpf map: reading")
    except KernelError as error:
        if _code(error) == errno.ENOENT:
            return None
        raise
    del buffer
    return value.raw


def update(fd: int, key: bytes, value: bytes) -> None:
    attr, buffer = _element(fd, key, ctypes_value := ctypes.create_string_buffer(value, len(value)))
    bpf(_MAP_UPDATE, attr, "bpf map: writing")
    del buffer, ctypes_value


def delete(fd: int, key: bytes) -> None:
    attr, buffer = _element(fd, key, None)
    bpf(_MAP_DELETE, attr, "bpf map: deleting")
    del buffer


def freeze(fd: int) -> None:
    """From now on no process can write to the map, root included; programs still can. Since Linux 5.2."""
    bpf(_MAP_FREEZE, struct.pack("=I", fd), "bpf map: freezing")


def keys(fd: int, size: int) -> Iterator[bytes]:
    """Every key of a hash map that no other process changes meanwhile."""
    found = ctypes.create_string_buffer(size)
    previous: bytes | None = None
    while True:
        buffer = ctypes.create_string_buffer(previous, size) if previous is not None else None
        attr = struct.pack(
            "=IIQQQ", fd, 0, ctypes.addressof(buffer) if buffer is not None else 0, ctypes.addressof(found), 0
        )
        try:
            bpf(_MAP_NEXT_KEY, attr, "bpf map: listing")
        except KernelError as error:
            if _code(error) == errno.ENOENT:
                return
            raise
        previous = found.raw
        yield previous


def elements(fd: int, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a hash map. What changes meanwhile may be missing, or be there twice."""
    for count, keys_, values in _batches(fd, key_size, value_size):
        for number in range(count):
            key, value = number * key_size, number * value_size
            yield keys_[key : key + key_size], values[value : value + value_size]


def count_elements(fd: int, key_size: int, value_size: int) -> int:
    """The number of elements of a hash map; takes a millisecond for some thousands."""
    return sum(count for count, _, _ in _batches(fd, key_size, value_size))


def _batches(fd: int, *sizes: int) -> Iterator[tuple[int, bytes, bytes]]:
    keys_, values = (ctypes.create_string_buffer(_MOST_IN_BATCH * size) for size in sizes)
    place, following = ctypes.c_uint32(), ctypes.c_uint32()
    first, more = True, True
    while more:
        addresses = (0 if first else ctypes.addressof(place), *map(ctypes.addressof, (following, keys_, values)))
        attr = _BATCH.pack(*addresses, _MOST_IN_BATCH, fd, 0, 0)
        result, answer = bpf(_MAP_LOOKUP_BATCH, attr, "bpf map: listing", answers={errno.ENOENT})
        yield struct.unpack_from("=I", answer, _BATCH_COUNT)[0], keys_.raw, values.raw
        place.value, first, more = following.value, False, result == 0


def _code(error: KernelError) -> int | None:
    return error.__cause__.errno if isinstance(error.__cause__, OSError) else None


def program_fd(number: int) -> int:
    return _by_number(_PROG_FD_BY_ID, "program", number)


def map_fd(number: int) -> int:
    return _by_number(_MAP_FD_BY_ID, "map", number)


def _by_number(command: int, what: str, number: int) -> int:
    fd, _ = bpf(command, struct.pack("=III", number, 0, 0), f"bpf {what} {number}: finding it by its number")
    return fd


def program_name(number: int) -> str | None:
    """None for a program that has gone, or without the rights to look at it."""
    try:
        fd = program_fd(number)
    except NviError:
        return None
    try:
        return program_info(fd).name
    finally:
        os.close(fd)


def program_info(fd: int) -> ProgramInfo:
    """struct bpf_prog_info: tag at 8, nr_map_ids at 52, map_ids at 56, name at 64."""
    ids = (ctypes.c_uint32 * 16)()
    info = bytearray(80)
    struct.pack_into("=I", info, 52, len(ids))
    struct.pack_into("=Q", info, 56, ctypes.addressof(ids))
    raw = _info(fd, info)
    (count,) = struct.unpack_from("=I", raw, 52)
    return ProgramInfo(_name(raw, 64), raw[8:16], tuple(ids[:count]))


def map_info(fd: int) -> MapInfo:
    """struct bpf_map_info: type, id, key_size, value_size, max_entries, map_flags; name at 24."""
    raw = _info(fd, bytearray(40))
    kind, _, key_size, value_size, entries, flags = struct.unpack_from("=6I", raw)
    return MapInfo(_name(raw, 24), kind, key_size, value_size, entries, flags)


def _name(raw: bytes, offset: int) -> str:
    return raw[offset : offset + 16].partition(b"\0")[0].decode(errors="replace")


def _info(fd: int, info: bytearray) -> bytes:
    buffer = ctypes.create_string_buffer(bytes(info), len(info))
    attr = struct.pack("=IIQ", fd, len(info), ctypes.addressof(buffer))
    bpf(_OBJ_INFO, attr, "bpf object: reading its description")
    return buffer.raw


def possible_cpus() -> int:
    """How many values a per-CPU map holds for each key. The file reads like 0-3,8-11."""
    text = Path("/sys/devices/system/cpu/possible").read_text(encoding="ascii").strip()
    count = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
