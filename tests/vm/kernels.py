"""The kernels, as data: kernels.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("kernels.toml")


@dataclass(frozen=True)
class Kernel:
    name: str
    suite: str  # of the Debian archive, and so the userland of the guest
    packages: tuple[str, ...]
    release: str  # how `uname -r` starts


def kernels() -> dict[str, Kernel]:
    """All of them by name."""
    entries = tomllib.loads(_FILE.read_text(encoding="utf-8"))["kernel"]
    made = (Kernel(e["name"], e["suite"], tuple(e["packages"]), e["release"]) for e in entries)
    return {kernel.name: kernel for kernel in made}
