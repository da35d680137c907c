"""Sysctls: changed while the gateway needs them, restored by a delete."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from nvi_operator.errors import KernelError
from nvi_operator.kernel.driver import Driver
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.handles import Handles
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.sysctl import FORWARDING, SYSCTL, Sysctl, is_forwarding, is_of_a_client
from nvi_operator.plan.change import Change
from nvi_operator.state.fib_rule import FibRule
from nvi_operator.state.host import HostState
from nvi_operator.store import saved_settings
from nvi_operator.store.saved_settings import SavedSettings

PROC = Path("/proc/sys")  # /proc/sys/net shows the namespace of the reading thread
LOOSENED = ("accept_local", "rp_filter", "send_redirects")
_LONGEST = 128  # characters: more than any value that is compared has


class SysctlDriver(Driver):
    kind = SYSCTL.name

    def __init__(self, saved: SavedSettings) -> None:
        self._saved = saved

    @classmethod
    def create(cls, handles: Handles, drivers: Mapping[str, Driver]) -> SysctlDriver:
        return cls(handles.saved)

    def observe(self, desired: HostState) -> Iterator[Sysctl]:
        """The settings that are recorded. One whose interface has disappeared is no longer owned."""
        for path in self._saved.all(self.kind):
            value = read(path)
            if value is not None:
                yield Sysctl(path, value)

    def unrecorded(self, found: HostState) -> Iterator[Sysctl]:
        """Settings that seem to have been changed without a record of it; `found` are the other owned objects.

        Forwarding that is on where the host did not forward before the gateway: a `down` ends it. Where the
        record is missing or damaged, also what makes an interface accept its own addresses, and what goes with that.
        """
        recorded, before = self._saved.all(self.kind), self._saved.all(saved_settings.FORWARDING)
        if not found.objects:
            return
        families = {obj.family for _, obj in found if isinstance(obj, FibRule | Route)}
        for family in families or {4, 6}:
            path = FORWARDING[family]
            if path not in recorded and before.get(path, "0") == "0" and (value := read(path)) not in (None, "0"):
                yield Sysctl(path, str(value))
        if self._saved.incomplete:
            yield from (setting for setting in _loosened() if setting.path not in recorded)

    def default(self, path: str) -> str:
        """What to restore if it was not recorded: no forwarding, unless the host forwarded before the gateway."""
        if path in FORWARDING.values():
            return self._saved.all(saved_settings.FORWARDING).get(path, "0")
        return _default(path)

    def _before(self, path: str) -> str:
        """Where the host did not forward before the gateway, an interface forwards as long as the host does.

        One that leaves the spec is then as those that never were in it: ip_forward has set it for all of them.
        """
        if is_forwarding(path) and path not in FORWARDING.values() and self.default(FORWARDING[4]) == "0":
            return read(FORWARDING[4]) or "0"
        return self._saved.all(self.kind).get(path) or self.default(path)

    @classmethod
    def writes(cls, key: str) -> str:
        return key

    def watch(self, found: HostState) -> OpenSettings:
        return OpenSettings(found)

    def apply(self, change: Change) -> None:
        path = change.ref.key
        if isinstance(change.after, Sysctl):
            value = read(path)
            if value is not None:
                self._saved.save(self.kind, path, value)
            if value != change.after.value:
                _write(path, change.after.value)
            return
        value = read(path)
        if value is not None and not is_of_a_client(path, value):
            _write(path, self._before(path))
        self._saved.discard(self.kind, path)


class OpenSettings:
    """The settings of a state, kept open: reading one again takes a microsecond, by its name ten."""

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
        """Are all as they were? Those of an interface that disappeared are not, even if another has its name."""
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


def forwarding_now() -> dict[str, str]:
    """How the host forwards, by the paths of the settings."""
    return {path: value for path in FORWARDING.values() if (value := read(path)) is not None}


def _loosened() -> Iterator[Sysctl]:
    """Settings that are as a gateway needs them, of interfaces that accept packets from their own addresses."""
    for directory in sorted((PROC / "net/ipv4/conf").iterdir()):
        names = ("rp_filter", "send_redirects") if directory.name == "all" else LOOSENED
        paths = [f"net/ipv4/conf/{directory.name}/{name}" for name in names]
        values = {path: read(path) for path in paths}
        loosened = directory.name == "all" or values[paths[0]] == "1"
        for path, value in values.items():
            if loosened and directory.name != "default" and value is not None and value != _default(path):
                yield Sysctl(path, value)


def _default(path: str) -> str:
    """What the kernel, or the host's configuration, gives a new interface."""
    _, family, *_, name = path.split("/")
    return "0" if name == "accept_local" else read(f"net/{family}/conf/default/{name}") or "0"


def _write(path: str, value: str) -> None:
    """Write and read again: not every setting that takes a write keeps the value. KernelError if it does not."""
    with kernel_errors(f"sysctl {path}: setting to {value}"):
        (PROC / path).write_text(value, encoding="ascii")
    kept = read(path)
    if kept not in (value, None):  # None: the interface has disappeared
        raise KernelError(f"sysctl {path}: setting it to {value}: it reads {kept} afterwards")
