"""Which modules are installed for a kernel, as depmod(8) lists them."""

from __future__ import annotations

import os
import re
from pathlib import Path

SYS = Path("sys/module")
TREE = Path("lib/modules")

_ROOT = Path("/")


def available(name: str) -> bool:
    """Is the module loaded, or installed for the running kernel?"""
    return (_ROOT / SYS / name).is_dir() or find_module(_ROOT / TREE / os.uname().release, name) is not None


def find_module(tree: Path, name: str, index: str = "modules.dep") -> Path | None:
    """The path that an index of /lib/modules/RELEASE lists; None if it does not list the module or does not exist."""
    try:
        content = (tree / index).read_bytes()
    except OSError:  # no tree for this kernel, or a sandbox that hides it
        return None
    # An index has thousands of long lines: the cheap test first.
    if name.encode() + b".ko" not in content:
        return None
    found = re.search(
        rb"^((?:[^:\n]*/)?" + re.escape(name.encode()) + rb"\.ko(?:\.[a-z0-9]+)?)(?::|$)", content, re.MULTILINE
    )
    return tree / found[1].decode() if found else None
