"""The few calls of bpf(2) that a generator needs and the operator does not: XDP programs, and running them.

BPF_PROG_RUN in its "live frames" form (Linux 5.18, Documentation/bpf/bpf_prog_run.rst) makes frames in the
kernel, runs an XDP program on each, and hands those that pass to the stack as if a driver had received them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_NR = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_PROG_LOAD, _PROG_TEST_RUN, _LINK_CREATE = 5, 10, 28
_PROG_TYPE_XDP, _ATTACH_XDP = 6, 37  # enum bpf_prog_type, enum bpf_attach_type
_LIVE_FRAMES = 1 << 1  # BPF_F_TEST_XDP_LIVE_FRAMES
_LOG_SIZE = 1 << 16


def _bpf(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = _NR[platform.machine()]
    result = libc.syscall(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(len(attributes)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


def load_xdp(code: bytes, name: str) -> int:
    """A file descriptor. OSError with the verifier's words."""
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG_SIZE)
    attributes = struct.pack(
        "=IIQQIIQII16sII",
        _PROG_TYPE_XDP,
        len(code) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        1,
        _LOG_SIZE,
        ctypes.addressof(log),
        0,
        0,
        name.encode(),
        0,
        _ATTACH_XDP,
    )
    try:
        return _bpf(_PROG_LOAD, attributes)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {log.value.decode(errors='replace')[-500:]}") from error


def attach_xdp(program: int, ifindex: int) -> int:
    """A link's file descriptor; the program is detached when it is closed."""
    return _bpf(_LINK_CREATE, struct.pack("=IIII", program, ifindex, _ATTACH_XDP, 0))


def run_live(program: int, frame: bytes, ifindex: int, *, times: int, batch: int) -> None:
    """Receive `frame` on `ifindex` of the caller's namespace `times` times, on the caller's CPU."""
    data = ctypes.create_string_buffer(frame, len(frame))
    context = struct.pack("=IIIIII", 0, len(frame), 0, ifindex, 0, 0)  # struct xdp_md
    held = ctypes.create_string_buffer(context, len(context))
    attributes = struct.pack(
        "=IIIIQQIIIIQQIIII",
        program,
        0,
        len(frame),
        0,
        ctypes.addressof(data),
        0,
        times,
        0,
        len(context),
        0,
        ctypes.addressof(held),
        0,
        _LIVE_FRAMES,
        0,
        batch,
        0,
    )
    _bpf(_PROG_TEST_RUN, attributes)
