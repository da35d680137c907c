"""libnftables, for our table only, in a process of its own: what crashes it becomes an error message.

Other people's tables may crash it, of which it is never asked, but which it reads for itself; and what it does not
give back of a large listing goes with it.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from typing import Any

from nvi_operator.errors import CapabilityError, DiedError, KernelError
from nvi_operator.kernel import nft_worker
from nvi_operator.kernel.nft_worker import ANSWER, APPLY, CHECK, LIST, REQUEST
from nvi_operator.kernel.processes import adopt

_ABSENT = "No such file or directory"
# By its path: it needs nothing of ours, and so does not depend on where our package is found.
_WORKER = (sys.executable, "-P", nft_worker.__file__)


class Nft:
    """Works in the network namespace in which it was made; close it, or use it in `with`.

    The process is started at once, so that it is ready when it is asked, and again after a crash or a `close`. Not
    thread-safe.
    """

    def __init__(self, worker: tuple[str, ...] = _WORKER) -> None:
        if importlib.util.find_spec("nftables") is None:
            raise CapabilityError(
                "nftables: the Python bindings are wanted: there are none",
                hint="apt-get install python3-nftables, and use the system's Python (or a virtual "
                "environment made from it with --system-site-packages)",
            )
        self._command = worker
        self._worker: subprocess.Popen[bytes] | None = None
        self._started()

    def __enter__(self) -> Nft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.communicate()

    def list_skeleton(self, name: str) -> list[dict[str, Any]]:
        """The JSON objects of table `inet name`, sets without elements; empty if there is none.

        KernelError otherwise. Before nft 1.1.0 a terse `list table` fetches all elements all the same (bug
        1735 of netfilter.org); beside a `list ruleset` it does not. That is of a family without tables of ours,
        and no rule of another table is fetched for it, because `list table` narrows both. The definitions of sets
        are, and 1.0.6 dies of one with values that are intervals, which a newer nft made; then all elements come too.
        """
        try:
            code, output, error = self._ask(LIST, f"list ruleset arp; list table inet {name}", "listing")
        except DiedError:
            code, output, error = self._ask(LIST, f"list table inet {name}", "listing")
        if code == 0:
            objects: list[dict[str, Any]] = json.loads(output.rstrip("\n").rpartition("\n")[2])["nftables"]
            return objects
        if _ABSENT in error:
            return []
        raise _failed("listing", error)

    def check(self, text: str) -> None:
        """What `nft -c` says, without changing anything."""
        self._run(CHECK, text, "check")

    def apply(self, text: str) -> None:
        """One transaction: all of it or nothing."""
        self._run(APPLY, text, "apply")

    def _run(self, what: bytes, text: str, name: str) -> None:
        code, _, error = self._ask(what, text, name)
        if code:
            raise _failed(name, error)

    def _ask(self, what: bytes, text: str, name: str) -> tuple[int, str, str]:
        worker = self._started()
        try:
            answer = _answer(worker, what, text.encode())
        except BaseException:
            self.close()  # an answer that nobody waited for would be taken for the next one's
            raise
        if answer is None:
            self._worker = None
            raise DiedError(
                f"nft table: {name}: libnftables {_fate(worker)}",
                hint="the kernel took all of it, or nothing; where a newer nft made a table of somebody else's, "
                "nvictl doctor says which: an older libnftables dies of some",
            )
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._worker is None:
            pipe = subprocess.PIPE
            # A group of its own: an interrupt at the terminal is for us, and we end it when we are done.
            self._worker = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, process_group=0)
            adopt(self._worker.pid)
        return self._worker


def _answer(worker: subprocess.Popen[bytes], what: bytes, text: bytes) -> tuple[int, str, str] | None:
    """Return code, output and errors; None if it died of it."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(REQUEST.pack(what, len(text)) + text)
        worker.stdin.flush()
    except BrokenPipeError:
        return None
    head = worker.stdout.read(ANSWER.size)
    if len(head) < ANSWER.size:
        return None
    code, *sizes = ANSWER.unpack(head)
    output, error = (worker.stdout.read(size).decode() for size in sizes)
    return code, output, error


def _failed(what: str, error: str) -> KernelError | CapabilityError:
    message = f"nft table: {what}: {error.strip()}"
    if "Operation not permitted" in error:
        return CapabilityError(message, hint="run as root, or with CAP_NET_ADMIN in this network namespace")
    return KernelError(message)


def _fate(worker: subprocess.Popen[bytes]) -> str:
    """What became of it, after its pipes were closed."""
    worker.communicate()
    if worker.returncode < 0:
        return f"died of {signal.Signals(-worker.returncode).name}"
    return f"ended with {worker.returncode}"
