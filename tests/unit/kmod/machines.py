"""Fake machines: root directories with the files of the kernel, depmod and DKMS that matter."""

from __future__ import annotations

import struct
from pathlib import Path

RELEASE = "6.12.1-amd64"
_SIGNED = b"~Module signature appended~\n"


def ko(*, version: str = "0.3.0", release: str = RELEASE, source: str = "ABCD", signed: bool = False) -> bytes:
    """A 64-bit little-endian ELF file with a section .modinfo and no other of interest."""
    info = f"version={version}\0srcversion={source}\0alias=rtnl-link-nvi\0vermagic={release} SMP preempt \0".encode()
    names = b"\0.modinfo\0.shstrtab\0"
    at_names = 64 + len(info)
    headers = [(0, 0, 0), (1, 64, len(info)), (10, at_names, len(names))]
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, at_names + len(names), 0, 64, 0, 0, 64, len(headers), 2)
    table = b"".join(struct.pack("<IIQQQQIIQQ", n, 1, 0, 0, at, size, 0, 0, 1, 0) for n, at, size in headers)
    return head + info + names + table + (_SIGNED if signed else b"")


class Machine:
    """Takes modules, calls modprobe, has a tree for its kernel and no nvi."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = root / "lib/modules" / RELEASE
        self.write("proc/modules", "")
        self.write("proc/sys/kernel/modules_disabled", "0\n")
        self.write("proc/sys/kernel/modprobe", "/sbin/modprobe\n")
        self.write("etc/os-release", 'PRETTY_NAME="Some Linux"\nID=raspbian\nID_LIKE="debian"\n')
        self.write(
            f"lib/modules/{RELEASE}/modules.dep", "kernel/net/ifb.ko:\nkernel/net/nvision.ko: updates/nvi.ko\n"
        )
        self.write(f"lib/modules/{RELEASE}/modules.builtin", "kernel/net/core/core.ko\n")

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def install(self, content: bytes, name: str = "updates/nvi.ko", release: str = RELEASE) -> Path:
        """The file, and its line in the index."""
        self.write(f"lib/modules/{release}/modules.dep", f"kernel/net/ifb.ko:\n{name}: kernel/net/x.ko\n")
        return self.write(f"lib/modules/{release}/{name}", content)

    def load(self, version: str = "0.3.0") -> None:
        self.write("sys/module/nvi/version", f"{version}\n")
