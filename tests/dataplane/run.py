"""A loaded program, run on a packet that goes nowhere (BPF_PROG_TEST_RUN)."""

from __future__ import annotations

import ctypes
import struct

from nvi_operator.kernel.bpf.syscall import bpf

_TEST_RUN = 10
_ATTR = struct.Struct("=IIIIQQIIIIQQ")  # struct of BPF_PROG_TEST_RUN in union bpf_attr
_RESULT = 4
_CONTEXT = struct.Struct("=8xI24xI152x")  # struct __sk_buff: mark and ingress_ifindex


def run(program: int, frame: bytes, *, mark: int = 0, ingress_ifindex: int = 0) -> int:
    """What a tc program returns, as a signed number. The interface is the loopback device."""
    data = ctypes.create_string_buffer(frame, len(frame))
    context = ctypes.create_string_buffer(_CONTEXT.pack(mark, ingress_ifindex), _CONTEXT.size)
    addresses = ctypes.addressof(data), ctypes.addressof(context)
    attr = _ATTR.pack(program, 0, len(frame), 0, addresses[0], 0, 1, 0, _CONTEXT.size, 0, addresses[1], 0)
    _, answer = bpf(_TEST_RUN, attr, "bpf program: running it")
    (result,) = struct.unpack_from("=i", answer, _RESULT)
    return int(result)
