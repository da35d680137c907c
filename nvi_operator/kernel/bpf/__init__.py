"""eBPF: programs are loaded, attached to interfaces, and recognised where they run. Nothing is pinned.

`programs/` has the sources in C, `objects/` what `make bpf` (compile) makes of them. docs/adr/0019.

objects       loads a program by its name; elf: what the object says of itself
libbpf, syscall: the library and bpf(2). attach chooses between tcx and clsact (names: what programs are called)
live          recognises programs that run
program, guard (egress, ingress), flow_cache: options, maps and their elements. Pure. maps: what a map is
live_flow_cache, generations: a flow cache that runs
"""
