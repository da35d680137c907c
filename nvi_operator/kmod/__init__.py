"""The nvi kernel module on a machine: facts, and the verdict whether it can be used. Pure.

`kernel/kmod/` collects the facts and installs the module; the C sources are in `kmod/` at the top of the repository.
"""
