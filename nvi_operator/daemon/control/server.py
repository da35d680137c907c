"""The daemon's end of the control socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nvi_operator.daemon.control.protocol import Request, event_line, parse_request, refusal, result
from nvi_operator.daemon.control.streams import Connection, Refusal, Streams, each
from nvi_operator.errors import CapabilityError, NviError
from nvi_operator.events.record import EventLog, Record

Answer = Callable[[Request], Any]  # what goes into JSON, or a `Later`; raises NviError


class Later:
    """An answer that is not known yet. `tell` it once; it is dropped where the peer has left."""

    def __init__(self) -> None:
        self._listener: Callable[[Any], None] | None = None
        self._told: list[Any] = []

    def tell(self, data: Any) -> None:
        """What goes into JSON, or an NviError."""
        if self._listener is None:
            self._told.append(data)
        else:
            self._listener(data)

    def to(self, listener: Callable[[Any], None]) -> None:
        self._listener = listener
        for data in self._told:
            listener(data)


class ControlServer:
    """The language of the control socket.

    `answers` says what each request is answered with; `changes` are those that do something, for `trusted` users.
    `subscribe` is answered here: with the `last` events, and from then on with each new one.
    """

    seconds = float("inf")

    def __init__(
        self,
        streams: Streams,
        event_log: EventLog,
        answers: Mapping[str, Answer],
        changes: Mapping[str, Answer],
        trusted: frozenset[int] = frozenset({0}),
    ) -> None:
        self._streams = streams
        self._event_log = event_log
        self._answers = {**answers, "subscribe": self._subscribe}
        self._changes = changes
        self._trusted = trusted
        self._subscribed: set[Connection] = set()
        self._current: Connection | None = None
        event_log.listeners.append(self._tell)

    def serve(self, connection: Connection) -> bool:
        end = connection.received.find(b"\n")
        if end < 0:
            return False
        line = bytes(connection.received[:end])
        del connection.received[: end + 1]
        if line.strip():
            self._current = connection
            connection.send(self._answer(connection, line))
        return True

    def refuse(self, connection: Connection, reason: Refusal) -> None:
        connection.send(refusal(None, NviError(f"control socket: {reason.value}")))

    def ended(self, connection: Connection) -> None:
        self._subscribed.discard(connection)

    def _answer(self, connection: Connection, line: bytes) -> bytes:
        number: int | str | None = None
        try:
            request = parse_request(line)
            number = request.id
            found = self._asked(connection, request)(request)
            if isinstance(found, Later):
                found.to(lambda data: self._send_later(connection, request, data))
                return b""
            return result(request, found)
        except NviError as error:
            return refusal(number, error)

    def _send_later(self, connection: Connection, request: Request, data: Any) -> None:
        if not connection.closed:
            line = refusal(request.id, data) if isinstance(data, NviError) else result(request, data)
            self._streams.push(connection, line)

    def _asked(self, connection: Connection, request: Request) -> Answer:
        if request.name in self._answers:
            return self._answers[request.name]
        if request.name not in self._changes:
            known = ", ".join(sorted({*self._answers, *self._changes}))
            raise NviError(f"request {request.name}: not known to this daemon", hint=f"there are: {known}")
        if connection.peer.uid not in self._trusted:
            raise CapabilityError(
                f"request {request.name}: user {connection.peer.uid} may read, and change nothing",
                hint="run as root, or use sudo",
            )
        return self._changes[request.name]

    def _subscribe(self, request: Request) -> Any:
        assert self._current is not None
        self._subscribed.add(self._current)
        return {"last": [record.json() for record in self._event_log.last(request.integer("last", 0))]}

    def _tell(self, record: Record) -> None:
        if self._subscribed:
            each(self._subscribed, self._streams, event_line(record.json()))
