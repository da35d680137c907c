"""The nvi kernel module on a machine: what was found of it, and whether it can be used. Pure.

`kernel/kmod/` finds and changes it; the C sources are in `kmod/` at the top of the repository.
"""
