"""eBPF: programs are loaded, attached to interfaces, and recognised where they run. Nothing is pinned.

`programs/` has the sources in C, `objects/` what `make bpf` makes of them; `objects.load` loads them, by `libbpf`.
`attach` chooses between `tcx` and `clsact`, `live` recognises programs that run, `syscall` talks to bpf(2).
`program`, `egress` and `ingress` are pure: options, maps and their elements. docs/adr/0019.
"""
