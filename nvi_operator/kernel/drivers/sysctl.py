"""Sysctls: lent while we need them, given back by a delete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nvi_operator.errors import KernelError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.lent import Lent
from nvi_operator.state.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.state.sysctl import Sysctl

PROC = Path("/proc/sys")  # /proc/sys/net shows the namespace of the reading thread
_LONGEST = 128  # characters of a value of ours, by far


class SysctlDriver(Driver):
    kind = "sysctl"

    def __init__(self, lent: Lent) -> None:
        self._lent = lent

    def observe(self, desired: HostState) -> Iterator[Sysctl]:
        """Those that we hold. One whose interface has gone is nobody's."""
        for path in self._lent.all(self.kind):
            value = read(path)
            if value is not None:
                yield Sysctl(path, value)

    def apply(self, change: Change) -> None:
        path = change.ref.key
        if isinstance(change.after, Sysctl):
            value = read(path)
            if value is not None:
                self._lent.remember(self.kind, path, value)
            if value != change.after.value:
                _write(path, change.after.value)
            return
        before_us = self._lent.all(self.kind).get(path)
        if before_us is not None and read(path) is not None:
            _write(path, before_us)
        self._lent.forget(self.kind, path)


class OpenSettings:
    """The settings of a state, kept open: to look at one again takes a microsecond, by its name ten."""

    def __init__(self, state: HostState) -> None:
        """Those that cannot be opened have changed."""
        self._open: dict[int, bytes] = {}
        self._missing = False
        for setting in state.of_kind(SysctlDriver.kind):
            if isinstance(setting, Sysctl):
                try:
                    self._open[os.open(PROC / setting.path, os.O_RDONLY)] = setting.value.encode("ascii")
                except OSError:
                    self._missing = True

    def unchanged(self) -> bool:
        """Are all as they were? Those of an interface that has gone are not, even if another has its name."""
        try:
            return not self._missing and all(
                os.pread(file, _LONGEST, 0).strip() == value for file, value in self._open.items()
            )
        except OSError:
            return False

    def close(self) -> None:
        for file in self._open:
            os.close(file)
        self._open.clear()


def read(path: str) -> str | None:
    """The value; None where there is no such setting (an interface that is gone, IPv6 switched off)."""
    with kernel_errors(f"sysctl {path}: reading"):
        try:
            return (PROC / path).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None


def _write(path: str, value: str) -> None:
    """Not every setting that takes a write keeps the value. KernelError if this one does not."""
    with kernel_errors(f"sysctl {path}: setting to {value}"):
        (PROC / path).write_text(value, encoding="ascii")
    kept = read(path)
    if kept not in (value, None):  # None: the interface has gone
        raise KernelError(f"sysctl {path}: setting to {value}: it is {kept} afterwards")
