"""Object files into the kernel, by the distribution's libbpf.so.1 (1.0 and newer) through ctypes.

libbpf reads the file, makes its maps, tells the kernel its types (BTF) and leaves out what an older kernel does not
know. It prints nothing here: its words are collected, and become part of the error. It keeps the file descriptors
that it hands out, and closes them with the object.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import CapabilityError, KernelError, NviError
from nvi_operator.kernel.bpf.elf import RODATA

_LIBRARY = "libbpf.so.1"
_MOST_WORDS = 3
_WARNING = 0  # enum libbpf_print_level; informational and debugging messages are higher
_PRINT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _OpenOptions(ctypes.Structure):
    """struct bpf_object_open_opts: `sz` tells libbpf which of its fields there are."""

    _fields_ = (("sz", ctypes.c_size_t), ("object_name", ctypes.c_char_p))


@dataclass(frozen=True)
class LoadedObject:
    """File descriptors of programs and maps, by their names in the source."""

    programs: Mapping[str, int]
    maps: Mapping[str, int]


@contextmanager
def loaded(
    name: str,
    image: bytes,
    *,
    rodata: bytes = b"",
    sizes: Mapping[str, int],
    reuse: Mapping[str, int],
    programs: Collection[str] | None = None,
) -> Iterator[LoadedObject]:
    """An object file in the kernel; its descriptors are valid inside the block.

    `rodata` replaces the contents of that section, `sizes` the number of entries of maps. `reuse` has descriptors of
    maps that exist, which take the place of those of the file: the caller has seen that they are of the same form.
    `programs` are loaded, by default all.
    Raises CapabilityError without libbpf or the rights, KernelError with the verifier's last words.
    """
    library = _library()
    _words.clear()
    options = _OpenOptions(ctypes.sizeof(_OpenOptions), name.encode())
    handle = library.bpf_object__open_mem(image, len(image), ctypes.byref(options))
    if not handle:
        raise _refused(f"bpf object {name}: opening", ctypes.get_errno())
    try:
        if rodata:
            _set(library.bpf_map__set_initial_value, name, _map(handle, RODATA), rodata, len(rodata))
        for each, entries in sizes.items():
            _set(library.bpf_map__set_max_entries, f"{name}: map {each}", _map(handle, each), entries)
        for each, fd in reuse.items():
            _set(library.bpf_map__reuse_fd, f"{name}: map {each}", _map(handle, each), fd)
        found = dict(_programs(handle))
        wanted = found.keys() if programs is None else programs
        for each, program in found.items():
            _set(library.bpf_program__set_autoload, f"{name}: program {each}", program, each in wanted)
        result = library.bpf_object__load(handle)
        if result < 0:
            raise _refused(f"bpf object {name}: loading", -result)
        yield LoadedObject({each: library.bpf_program__fd(found[each]) for each in wanted}, dict(_map_fds(handle)))
    finally:
        library.bpf_object__close(handle)


def _set(function: ctypes._NamedFuncPointer, what: str, *arguments: object) -> None:
    result = function(*arguments)
    if result < 0:
        raise _refused(f"bpf object {what}: preparing", -result)


def _map(handle: int, name: str) -> int:
    """KeyError for a name that the source does not have."""
    found: int | None = _library().bpf_object__find_map_by_name(handle, name.encode())
    if not found:
        raise KeyError(name)
    return found


def _programs(handle: int) -> Iterator[tuple[str, int]]:
    library = _library()
    program = library.bpf_object__next_program(handle, None)
    while program:
        yield library.bpf_program__name(program).decode(), program
        program = library.bpf_object__next_program(handle, program)


def _map_fds(handle: int) -> Iterator[tuple[str, int]]:
    library = _library()
    each = library.bpf_object__next_map(handle, None)
    while each:
        name = library.bpf_map__name(each).decode()
        yield RODATA if name.endswith(RODATA) else name, library.bpf_map__fd(each)
        each = library.bpf_object__next_map(handle, each)


# --------------------------------------------------------------------------- the library, and what it says

_words: list[str] = []


@cache
def _library() -> ctypes.CDLL:
    """Raises CapabilityError where it is not installed."""
    try:
        library = ctypes.CDLL(_LIBRARY, use_errno=True)
    except OSError as error:
        raise CapabilityError(
            f"{_LIBRARY}: loading it: {error}", hint="the eBPF dataplane needs the package libbpf1"
        ) from error
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    for name, result, arguments in (
        ("bpf_object__open_mem", pointer, (text, size, pointer)),
        ("bpf_object__load", number, (pointer,)),
        ("bpf_object__close", None, (pointer,)),
        ("bpf_object__find_map_by_name", pointer, (pointer, text)),
        ("bpf_object__next_map", pointer, (pointer, pointer)),
        ("bpf_object__next_program", pointer, (pointer, pointer)),
        ("bpf_program__name", text, (pointer,)),
        ("bpf_program__fd", number, (pointer,)),
        ("bpf_program__set_autoload", number, (pointer, ctypes.c_bool)),
        ("bpf_map__name", text, (pointer,)),
        ("bpf_map__fd", number, (pointer,)),
        ("bpf_map__reuse_fd", number, (pointer, number)),
        ("bpf_map__set_max_entries", number, (pointer, ctypes.c_uint32)),
        ("bpf_map__set_initial_value", number, (pointer, text, size)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.libbpf_set_print(_COLLECT)
    return library


def _collect(level: int, form: bytes, arguments: int) -> int:
    """libbpf_print_fn_t. A va_list that is passed on is a pointer in every ABI of Linux, or fits in a register."""
    if level == _WARNING:
        text = ctypes.c_void_p()
        if _LIBC.vasprintf(ctypes.byref(text), form, ctypes.c_void_p(arguments)) >= 0:
            _words.append(ctypes.string_at(text.value or 0).decode(errors="replace"))
            _LIBC.free(text)
    return 0


_LIBC = ctypes.CDLL(None)
_COLLECT = _PRINT(_collect)
_BEGIN_LOG, _END_LOG = "-- BEGIN PROG LOAD LOG --", "-- END PROG LOAD LOG --"
_FIRST_OWN = 4000  # LIBBPF_ERRNO__START: codes of libbpf's own


def _refused(what: str, code: int) -> NviError:
    output = "".join(_words)
    _words.clear()
    if _BEGIN_LOG in output:
        log = output.partition(_BEGIN_LOG)[2].partition(_END_LOG)[0]
        words = log.strip().splitlines()[-_MOST_WORDS:]
    else:
        words = [line.removeprefix("libbpf: ") for line in output.splitlines()[:_MOST_WORDS]]
    text = f"{what}: {os.strerror(code) if code < _FIRST_OWN else 'not a valid object file'}"
    if code == errno.EPERM:
        return CapabilityError(
            text, hint="eBPF needs root of the host itself, or CAP_NET_ADMIN and CAP_SYS_ADMIN there"
        )
    if code == errno.ENOSYS:
        return CapabilityError(text, hint="this kernel was built without CONFIG_BPF_SYSCALL")
    error = KernelError(
        f"{text}: {' / '.join(words) or 'no reason was given'}",
        hint="Linux 5.15 or newer is needed; a newer one that refuses the program is a bug worth reporting",
    )
    error.__cause__ = OSError(code, os.strerror(code))
    return error
