"""Compiles programs/*.bpf.c to objects/, as `make bpf` does. It needs clang, llvm-strip and libbpf's headers.

An object is the same wherever it is made with the same clang: paths are relative, and of the debugging information
only BTF is kept. Its constant `build` is a hash of its sources, so that an object that does not belong to them is
found without a compiler (tests/unit/test_bpf_objects.py).
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from nvi_operator.kernel.bpf import objects
from nvi_operator.kernel.bpf.elf import Order
from nvi_operator.pattern import pattern

PROGRAMS = Path(__file__).with_name("programs")
ORDERS: tuple[Order, ...] = ("little", "big")
# The third instruction set has 32-bit operations; Linux 5.1.
_FLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-Werror", "-mcpu=v3", "-I.", "-ffile-compilation-dir=.")
_INCLUDE = pattern(r'#include "(.+)"')


def names() -> list[str]:
    return sorted(source.name.removesuffix(".bpf.c") for source in PROGRAMS.glob("*.bpf.c"))


def sources(name: str) -> Iterator[Path]:
    """The program's own source, and those of the project that it includes."""
    pending, seen = [f"{name}.bpf.c"], set[str]()
    while pending:
        each = pending.pop()
        if each not in seen:
            seen.add(each)
            pending += _INCLUDE.findall((PROGRAMS / each).read_text())
            yield PROGRAMS / each


def build(name: str) -> int:
    """Hash of the sources, of 64 bits."""
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for source in sorted(sources(name)):
        digest.update(source.read_bytes())
    return int.from_bytes(digest.digest()[:8], "big")


def compile_object(name: str, order: Order, to: Path) -> None:
    """Raises CalledProcessError after clang's own words."""
    target = f"bpf{'el' if order == 'little' else 'eb'}"
    define = f"-DNVI_BUILD={build(name):#x}ull"
    source = f"{name}.bpf.c"
    subprocess.run(["clang", *_FLAGS, "-target", target, define, "-c", source, "-o", to], cwd=PROGRAMS, check=True)
    subprocess.run(["llvm-strip", "--strip-debug", to], check=True)


def main() -> None:
    for name in names():
        for order in ORDERS:
            compile_object(name, order, objects.path(name, order))
            print(objects.path(name, order).name)


if __name__ == "__main__":
    main()
