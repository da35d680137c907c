"""The bound of every flow cache: each packet leaves by a program at the ingress, unchanged and without a look-up."""

from __future__ import annotations

import os
import socket

from bench.dataplane import asm
from bench.dataplane.bed import Bed
from bench.dataplane.variants.single import plain
from nvi_operator.kernel.bpf import syscall, tcx
from tests.lab import Lab

_BPF_REDIRECT = 23  # enum bpf_func_id


def redirect(lab: Lab, name: str) -> Bed:
    """By tcx, Linux 6.6."""
    bed = plain(lab, name)
    bed.outer.call(_attach, "lan0", "wan0")
    bed.outer.call(_attach, "wan0", "lan0")
    return bed


def _attach(ifname: str, to: str) -> None:
    code = [
        asm.mov_imm(asm.R1, socket.if_nametoindex(to)),
        asm.mov_imm(asm.R2, 0),
        asm.call(_BPF_REDIRECT),
        asm.leave(),
    ]
    ifindex = socket.if_nametoindex(ifname)
    program = syscall.load_program(asm.encode(code, {}), "bench_redirect")
    try:
        tcx.attach(ifindex, "ingress", program, "first", tcx.programs(ifindex, "ingress").revision)
    finally:
        os.close(program)
