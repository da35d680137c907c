"""How many examples hypothesis draws: a part of them in every run, all with NVI_EXAMPLES=all (`make soak`)."""

from __future__ import annotations

import os

_PART = 4


def examples(count: int) -> int:
    return count if os.environ.get("NVI_EXAMPLES") == "all" else count // _PART
