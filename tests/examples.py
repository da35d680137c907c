"""How many examples are run: a part of them in every run, all with NVI_EXAMPLES=all (`make soak`)."""

from __future__ import annotations

import os

ALL = os.environ.get("NVI_EXAMPLES") == "all"
_PART = 4


def examples(count: int) -> int:
    """For hypothesis."""
    return count if ALL else count // _PART
