"""A command's end of the control socket. Light: `nvictl status` without root needs no more than this."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nvi_operator.daemon.control.protocol import PROTOCOL, socket_path
from nvi_operator.errors import BusyError, CapabilityError, KernelError, NviError

PATIENCE = 10.0  # seconds: a reconcile of 100,000 forwards answers nothing for two or three


class Client:
    """A connection to the daemon. Use it in `with`. BusyError if it does not answer in time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._sock.close()

    def ask(self, request: str, **arguments: Any) -> Any:
        """The result. Raises NviError with what the daemon says."""
        line = json.dumps({"request": request, "protocol": PROTOCOL, **arguments}).encode() + b"\n"
        try:
            self._sock.sendall(line)
            while "event" in (answer := self._read()):
                self._events.append(answer["event"])
        except TimeoutError as error:
            raise BusyError(
                f"nvictl run: no answer within {self._sock.gettimeout():g} s: a reconcile takes long, or it hangs",
                hint="see its log: journalctl -u nvi-operator",
            ) from error
        except OSError as error:
            raise KernelError(f"control socket: {error.strerror or error}") from error
        if problem := answer.get("error"):
            raise NviError(f"nvictl run: {problem['message']}", hint=problem.get("hint") or "")
        return answer["result"]

    def wait(self, seconds: float) -> None:
        """How long the next answers may take, in place of PATIENCE."""
        self._sock.settimeout(seconds)

    def follow(self) -> Iterator[dict[str, Any]]:
        """Events, after `subscribe`; ends when the daemon does."""
        yield from self._events
        self._sock.settimeout(None)
        while True:
            try:
                yield self._read()["event"]
            except ConnectionError:
                return

    def _read(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise _EndedError
        found = json.loads(line)
        assert isinstance(found, dict)
        return found


class _EndedError(ConnectionError):
    def __str__(self) -> str:
        return "nvictl run closed the connection"


def connect(path: Path | None = None) -> Client | None:
    """None where no daemon of this network namespace listens. CapabilityError where the user may not ask it."""
    path = path or socket_path()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except PermissionError as error:
        sock.close()
        raise CapabilityError(
            f"{path}: connecting: {error.strerror}", hint="run as root, or as a member of group nvi-operator"
        ) from error
    except OSError as error:
        sock.close()
        raise KernelError(f"{path}: connecting: {error.strerror or error}") from error
    return Client(sock)
