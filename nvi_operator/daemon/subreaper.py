"""Becomes the program of its arguments, after asking the kernel for what that program's descendants leave behind.

A process that a descendant leaves behind becomes a child of the program then, instead of one of init, so that
`child.py` finds all of them while the program runs (PR_SET_CHILD_SUBREAPER, which outlives execve). Only the process
itself can ask for that, and running Python between fork and exec is unsafe where there are threads.
It imports nothing of nvi_operator, as `webhook.py`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h, Linux 3.4
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # and an ignored signal stays so


def main() -> int:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    os.environ.pop("LC_CTYPE", None)  # a hook is given none, but Python gives itself one (PEP 538)
    try:
        os.execv(sys.argv[1], sys.argv[1:])
    except OSError as error:
        print(f"starting it: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
