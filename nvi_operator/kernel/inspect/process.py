"""How the survey runs commands, and where it tries things out."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Sequence

_SECONDS = 60
_CLONE_NEWNET = 0x40000000


def run(command: Sequence[str], *, text: str | None = None, seconds: float = _SECONDS) -> tuple[int, str, str]:
    """Exit code, output, errors; never an exception. A child lives in the calling thread's network namespace."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
            env=environment,
        )
    except OSError as error:
        return 127, "", error.strerror or str(error)
    except subprocess.TimeoutExpired:
        return 124, "", f"no answer within {seconds:g} seconds"
    return done.returncode, done.stdout, done.stderr


def own_namespace() -> bool:
    """Move the calling thread, which has to be a fresh one, into a new network namespace that ends with it."""
    return bool(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) == 0)
