"""A kernel setting that we hold and give back: the value before us is remembered (see kernel/lent.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sysctl:
    """`path` is relative to /proc/sys, with slashes, because interface names may hold dots."""

    path: str
    value: str

    @property
    def key(self) -> str:
        return self.path
