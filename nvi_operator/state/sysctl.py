"""A kernel setting that we change and restore: the value before us is recorded (store/saved_settings.py)."""

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
