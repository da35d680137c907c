"""What a map is, to the kernel and to us: pure, so that the program can say which ones it needs."""

from __future__ import annotations

from dataclasses import dataclass

HASH, PERCPU_ARRAY = 1, 6  # enum bpf_map_type, include/uapi/linux/bpf.h


@dataclass(frozen=True)
class MapInfo:
    """Name (at most 15 characters), enum bpf_map_type, sizes in bytes, and how many entries it may hold."""

    name: str
    kind: int
    key_size: int
    value_size: int
    entries: int
