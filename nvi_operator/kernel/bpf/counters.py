"""What the program counted, by reason."""

from __future__ import annotations

import struct
from typing import Any

from nvi_operator.kernel.bpf import program, syscall
from nvi_operator.kernel.drivers.tc_program import TcProgramDriver, opened_maps


def read_counters(ipr: Any, ifname: str) -> dict[str, int]:
    """Packets by reason, summed over the CPUs; empty where there is no program of ours."""
    number = TcProgramDriver(ipr).program_id(ifname)
    if number is None:
        return {}
    cpus = syscall.possible_cpus()
    with opened_maps(number) as maps:
        fd = maps[program.COUNTERS]
        raw = {r: syscall.lookup(fd, struct.pack("=I", i), 8 * cpus) for i, r in enumerate(program.REASONS)}
    return {reason: sum(struct.unpack(f"={cpus}Q", value)) for reason, value in raw.items() if value is not None}
