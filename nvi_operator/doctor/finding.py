"""The result of a check."""

from __future__ import annotations

from typing import Literal

from nvi_operator.dataclass import dataclass

Level = Literal["ok", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "ok")


@dataclass(frozen=True)
class Finding:
    """One observation. `problem`: the gateway will not work as its spec says; `warning`: it may not.

    `topic` is the name of the check. `todo` holds one action per line, commands ready to be pasted; empty if none is
    needed.
    """

    level: Level
    topic: str
    what: str
    todo: str = ""
