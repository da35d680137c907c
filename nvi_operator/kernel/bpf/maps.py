"""What a map is to the kernel and to the operator. Pure, so that the program can say which ones it needs."""

from __future__ import annotations

from nvi_operator.dataclass import dataclass

HASH, ARRAY, PERCPU_ARRAY, LPM_TRIE = 1, 2, 6, 11  # enum bpf_map_type, include/uapi/linux/bpf.h
NO_PREALLOC = 1  # BPF_F_NO_PREALLOC, which a trie asks for


@dataclass(frozen=True)
class MapInfo:
    """Name (at most 15 characters), enum bpf_map_type, sizes in bytes, how many entries it may hold, BPF_F_*."""

    name: str
    kind: int
    key_size: int
    value_size: int
    entries: int
    flags: int = 0
