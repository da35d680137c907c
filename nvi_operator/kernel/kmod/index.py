"""Which modules are filed for a kernel, as depmod(8) listed them."""

from __future__ import annotations

import os
import re
from pathlib import Path

SYS = Path("sys/module")
TREE = Path("lib/modules")


def available(name: str, *, root: Path = Path("/")) -> bool:
    """Is the module loaded, or filed for the running kernel?"""
    return (root / SYS / name).is_dir() or filed(root / TREE / os.uname().release, name) is not None


def filed(tree: Path, name: str, index: str = "modules.dep") -> Path | None:
    """Where the index of /lib/modules/RELEASE has it; None if it has not, or if there is no index."""
    try:
        content = (tree / index).read_bytes()
    except OSError:  # no tree for this kernel, or a sandbox that hides it
        return None
    wanted = re.escape(name.encode())
    # An index has thousands of long lines: the cheap question first.
    if name.encode() + b".ko" not in content:
        return None
    found = re.search(rb"^((?:[^:\n]*/)?" + wanted + rb"\.ko(?:\.[a-z0-9]+)?)(?::|$)", content, re.MULTILINE)
    return tree / found[1].decode() if found else None
