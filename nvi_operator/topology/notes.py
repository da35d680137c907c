"""Notes: what about a gateway does not work, or not as one may expect, on this host now. They are no errors."""

from __future__ import annotations

from collections.abc import Callable

Note = Callable[[str], None]  # takes one note
