"""libnftables, in a process of its own: what `kernel/nft/client.py` talks to. It imports as little as it can.

Requests come on standard input, answers go to what was standard output: lengths, then bytes. What libnftables itself
prints goes to standard error, so that it is not taken for an answer. It ends when its input does, and at once when
the process that started it dies: the lock that it shares is not held by a listing that never ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

TYPE_CHECKING = False  # that of typing, whose import takes a tenth of the start
if TYPE_CHECKING:
    from typing import Any, BinaryIO

REQUEST = struct.Struct("=cI")  # what, and bytes of nft text
ANSWER = struct.Struct("=iII")  # return code, bytes of output, bytes of errors
LIST, CHECK, APPLY = b"L", b"C", b"A"
_PR_SET_PDEATHSIG = 1  # prctl(2). The kernel finishes a transaction or drops it as a whole, see nfnetlink_rcv_batch()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    import nftables

    lasting = nftables.Nftables()
    lasting.set_json_output(True)
    lasting.set_terse_output(True)
    lasting.set_numeric_proto_output(True)  # /etc/protocols has other words for some, and a small system lacks it
    while head := requests.read(REQUEST.size):
        what, size = REQUEST.unpack(head)
        text = requests.read(size).decode()
        context: Any = lasting
        if what == CHECK:
            # Its own: a dry run leaves its elements in the cache of libnftables (1.0.6), and the apply after it
            # would find that they overlap with themselves.
            context = nftables.Nftables()
            context.set_dry_run(True)
        code, *texts = context.cmd(text)
        output, error = (part.encode(errors="replace") for part in texts)
        answers.write(ANSWER.pack(code, len(output), len(error)) + output + error)
        answers.flush()


if __name__ == "__main__":
    sys.path += sys.argv[1:]  # where the bindings are
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Stopping the daemon signals all of its processes at once, but the reconcile under way must finish.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, answers)
