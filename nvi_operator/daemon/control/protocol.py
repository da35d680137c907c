"""The language of the control socket: a request and its answer are a line of JSON each.

    -> {"request": "paused", "id": 7, "protocol": 1}
    <- {"id": 7, "protocol": 1, "result": {...}}
    <- {"id": 7, "protocol": 1, "error": {"message": "...", "hint": "..."}}
    <- {"protocol": 1, "event": {...}}                      after `subscribe`

Fields are only ever added; what is not known is ignored. A change that breaks a reader is another protocol number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.kernel.netns import cookie
from nvi_operator.store.directory import RUN

PROTOCOL = 1


def socket_path(directory: Path = RUN) -> Path:
    """The socket of the daemon in the calling thread's network namespace."""
    return directory / f"control-{cookie()}.sock"


@dataclass(frozen=True)
class Request:
    name: str
    id: int | str | None = None
    arguments: dict[str, Any] | None = None

    def integer(self, name: str, default: int) -> int:
        """An argument. NviError if it is no number from 0 on."""
        value = (self.arguments or {}).get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise NviError(f"request {self.name}: {name}: expected a number from 0 on")
        return value


def parse_request(line: bytes) -> Request:
    """Raises NviError."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NviError(f"request: not a line of JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("request"), str):
        raise NviError('request: expected an object with the name of a request: {"request": "status"}')
    if data.get("protocol", PROTOCOL) != PROTOCOL:
        raise NviError(
            f"request: protocol {data['protocol']}: this daemon speaks protocol {PROTOCOL}",
            hint="use the nvictl of the same version, or restart the service after an upgrade",
        )
    number = data.get("id")
    if not isinstance(number, (int, str, type(None))):
        raise NviError("request: id: expected a number or a string")
    return Request(data["request"], number, data)


def result(request: Request, data: Any) -> bytes:
    return _line({"id": request.id, "result": data})


def refusal(number: int | str | None, error: NviError) -> bytes:
    return _line({"id": number, "error": {"message": error.message, "hint": error.hint or None}})


def event_line(data: dict[str, Any]) -> bytes:
    return _line({"event": data})


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps({"protocol": PROTOCOL, **data}, separators=(",", ":")).encode() + b"\n"
