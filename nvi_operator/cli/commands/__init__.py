"""One file per command; the order here is that of `nvictl --help`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from nvi_operator.cli.command import Command

NAMES = [
    "init",
    "validate",
    "render",
    "graph",
    "explain",
    "trace",
    "simulate",
    "plan",
    "preview",
    "diff",
    "apply",
    "confirm",
    "abort",
    "rollback",
    "history",
    "compare",
    "status",
    "events",
    "show",
    "nat-log",
    "drift",
    "suspend",
    "resume",
    "run",
    "sync",
    "down",
    "doctor",
    "module",
    "support",
    "schema",
    "completion",
]


def load(names: Iterable[str] | None = None) -> dict[str, Command]:
    """The commands by name, all or those of `names` that exist. Quick: what is heavy is imported when one runs."""
    wanted = NAMES if names is None else [name for name in names if name in NAMES]
    return {name: import_module(f"{__name__}.{name.replace('-', '_')}").COMMAND for name in wanted}
