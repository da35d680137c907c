"""What the daemon answers on its control socket: from what it knows already, so that an answer takes microseconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from nvi_operator import __version__
from nvi_operator.daemon.control.protocol import PROTOCOL, Request
from nvi_operator.daemon.control.server import Answer
from nvi_operator.daemon.loop import Loop
from nvi_operator.reconcile.outcome import Reason

Health = Callable[[], Mapping[str, Mapping[str, Any]]]  # by uplink: state, since, reason


class Answers:
    """Of one daemon. `spec` is the directory that it follows."""

    def __init__(self, loop: Loop, spec: str, health: Health = dict) -> None:
        self._loop = loop
        self._spec = spec
        self._health = health

    @property
    def reading(self) -> dict[str, Answer]:
        """For everyone who may connect."""
        return {"hello": self._hello, "paused": self._paused, "health": self._uplinks}

    @property
    def changing(self) -> dict[str, Answer]:
        return {"reconcile": self._reconcile}

    def _hello(self, request: Request) -> dict[str, Any]:
        last = self._loop.last
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "pid": os.getpid(),
            "spec": self._spec,
            "gateway": last.gateway or None,
            "revision": str(last.revision) if last.revision else None,
        }

    def _paused(self, request: Request) -> dict[str, Any]:
        return {"paused": {name: round(left, 1) for name, left in self._loop.paused.items()}}

    def _uplinks(self, request: Request) -> dict[str, Any]:
        return {"uplinks": {name: dict(health) for name, health in self._health().items()}}

    def _reconcile(self, request: Request) -> dict[str, Any]:
        """As SIGHUP does."""
        self._loop.trigger(Reason.SIGNAL)
        return {}
