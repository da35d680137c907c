"""A route of ours, in a table of ours. Routes in `main` are never ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Route:
    """One route; `metric` is part of its identity in both families."""

    family: Literal[4, 6]
    table: int
    destination: str  # a prefix, "0.0.0.0/0" and "::/0" for the default
    type: Literal["unicast", "unreachable"] = "unicast"
    dev: str | None = None
    via: str | None = None
    metric: int = 1024
    onlink: bool = False

    @property
    def key(self) -> str:
        return f"{self.destination} table {self.table} metric {self.metric}"
