"""Kernel modules."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from nvi_operator.errors import CapabilityError
from nvi_operator.state.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.state.link import Module

_SYS = Path("/sys/module")
_TREE = Path("/lib/modules")


def available(name: str) -> bool:
    """Is the module loaded, or filed for the running kernel?"""
    if (_SYS / name).is_dir():
        return True
    try:
        index = (_TREE / os.uname().release / "modules.dep").read_text(encoding="utf-8")
    except OSError:  # no tree for this kernel, or a sandbox that hides it
        return False
    return name in {line.partition(":")[0].rpartition("/")[2].partition(".")[0] for line in index.splitlines()}


class ModuleDriver:
    """A loaded module stays when we go: others may use it by then."""

    kind = "module"

    def observe(self, desired: HostState) -> Iterator[Module]:
        for ref, obj in desired:
            if ref.kind == self.kind and isinstance(obj, Module) and (_SYS / obj.name).is_dir():
                yield obj

    def apply(self, change: Change) -> None:
        if not isinstance(change.after, Module):
            return
        name = change.after.name
        result = subprocess.run(["modprobe", "--", name], capture_output=True, text=True, check=False, timeout=60)
        if result.returncode:
            raise CapabilityError(
                f"module {name}: wanted for dataplane kmod: {result.stderr.strip() or 'modprobe failed'}",
                hint="build and install kmod/, or set spec.dataplane.type to auto or bpf",
            )
