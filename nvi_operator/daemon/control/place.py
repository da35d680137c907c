"""Where the control socket is, and who may use it.

The kernel checks the file's mode when a process connects: root and the group may. What they may ask is decided by the
credentials that the kernel recorded (SO_PEERCRED, unix(7)): only root may change anything.
"""

from __future__ import annotations

import grp
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nvi_operator.daemon.control.protocol import socket_path
from nvi_operator.kernel.netns import is_host
from nvi_operator.store.directory import RUN, file_errors, open_directory

GROUP = "nvi-operator"
BACKLOG = 512


class ControlPlace:
    """The listening socket. Only for the holder of the instance lock: it replaces what a killed daemon left."""

    def __init__(self, say: Callable[[str], None], directory: Path = RUN, group: str = GROUP) -> None:
        """Raises NviError."""
        self.path = socket_path(directory)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._links: list[Path] = []
        with file_errors(f"{self.path}: making the control socket"):
            os.close(open_directory(directory))
            self.path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                self.listener.bind(str(self.path))
            finally:
                os.umask(before)
            _give_to_group(self.path, group, say)
            self.listener.listen(BACKLOG)
        if is_host():
            self._link(directory / "control.sock")

    def _link(self, path: Path) -> None:
        """A name that does not change from boot to boot, for the host's own namespace."""
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.symlink_to(self.path.name)
            self._links.append(path)

    def close(self) -> None:
        """Removes the socket."""
        self.listener.close()
        for path in (*self._links, self.path):
            with suppress(OSError):
                path.unlink()


def _give_to_group(path: Path, group: str, say: Callable[[str], None]) -> None:
    """The members of the group may read; without such a group only root."""
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        return
    try:
        os.chown(path, -1, number)
        os.chmod(path, 0o660)
    except OSError as error:
        say(f"control socket: giving it to group {group}: {error.strerror}: only root can use it")
