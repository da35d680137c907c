"""The directories that hold the names of a path: where it can be made to lead elsewhere."""

from __future__ import annotations

import os
from dataclasses import field

from nvi_operator.dataclass import dataclass

_MOST_LINKS = 40  # as the kernel has it


@dataclass
class Lookups:
    """The names looked up in each directory on the way to some paths."""

    names: dict[str, set[str]] = field(default_factory=dict)

    def follow(self, path: str) -> str:
        """Look up `path` as the kernel would, as far as it exists. Returns where it ends."""
        here, todo, links = "/", path.split("/")[::-1], 0
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = os.path.dirname(here)
                continue
            if os.path.isdir(here):
                self.names.setdefault(here, set()).add(name)
            target = _readlink(os.path.join(here, name))
            if target is None:
                here = os.path.join(here, name)
                continue
            links += 1
            if links > _MOST_LINKS:
                break
            here = "/" if target.startswith("/") else here
            todo += target.split("/")[::-1]
        return here


def _readlink(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None  # no symlink, or nothing there
