"""The eBPF dataplane, from instructions to system calls. No compiler, no object files, nothing pinned.

`asm` and `program` are pure; `syscall` talks to bpf(2); `counters` reads what the program counted.
"""
