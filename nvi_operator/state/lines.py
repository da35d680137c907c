"""A line of a difference, as plans and drift show it."""

from __future__ import annotations

Line = tuple[str, str]  # a sign (+, -, ~ or blank) and text
