"""libnftables, for the owned table only, in a process of its own: a crash, a hang or a wrong answer is an error.

It is never asked for tables of others, but reads them for itself. Those that a newer nft made can crash it or keep it
busy for ever, and it prints what it does not know as any bytes. The process also takes with it the memory that
libnftables does not give back after a large listing.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nvi_operator.errors import CapabilityError, KernelError, NftCrashedError
from nvi_operator.kernel.nft import worker as nft_worker
from nvi_operator.kernel.nft.worker import ANSWER, APPLY, CHECK, LIST, REQUEST
from nvi_operator.kernel.processes import adopt

_ABSENT = "No such file or directory"
_SECONDS = 20.0  # for an answer; a skeleton takes milliseconds
_BYTES_A_SECOND = 50_000  # of nft text, on top; so much takes 1.0.6 some 20 ms
_ENDING = 5.0  # seconds for a worker to end when its input does
_PIECE = 1 << 20
_NEWER = (
    "made by a newer nft? An older libnftables dies of some tables, or never answers; nvictl doctor says which table "
    "it is. The kernel took all of this change, or nothing"
)
# By its path, and without site-packages: it needs the bindings alone, and what site-packages of a virtual environment
# import when Python starts would be more than half of its start.
_WORKER = (sys.executable, "-I", "-S", nft_worker.__file__)


class Nft:
    """Works in the network namespace in which it was made; close it, or use it in `with`.

    The process is started at once, so that it is ready when it is asked, and again after a crash or a `close`. Not
    thread-safe. It shares the descriptors of `shares`: a lock is free only when what it guarded is over.
    """

    def __init__(
        self,
        worker: tuple[str, ...] = (),
        *,
        seconds: float = _SECONDS,
        shares: Callable[[], tuple[int, ...]] = lambda: (),
    ) -> None:
        """`seconds` is the limit for each answer, without what a long text needs on top."""
        bindings = importlib.util.find_spec("nftables")
        if bindings is None or bindings.origin is None:
            raise CapabilityError(
                "nftables: Python bindings not found",
                hint="apt-get install python3-nftables, and use the system's Python (or a virtual "
                "environment made from it with --system-site-packages)",
            )
        self._command = worker or (*_WORKER, str(Path(bindings.origin).parents[1]))
        self._seconds = seconds
        self._shares = shares
        self._shared: tuple[int, ...] = ()
        self._worker: subprocess.Popen[bytes] | None = None
        self._used = False
        self._started()

    def __enter__(self) -> Nft:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one. It is between two requests, or does not count any more."""
        worker, self._worker, self._used = self._worker, None, False
        if worker is not None:
            worker.kill()  # it has nothing to finish, and the end of an interpreter takes longer than a listing
            _end(worker)

    def renew(self) -> None:
        """Have a process ready that was asked nothing yet: one that was used keeps memory."""
        if self._used:
            self.close()
        self._started()

    def list_skeleton(self, name: str) -> list[dict[str, Any]]:
        """The JSON objects of table `inet name`, sets without elements; empty if there is none.

        NftCrashedError where there is no usable answer, KernelError where libnftables refuses.

        Before nft 1.1.0 a terse `list table` fetches all elements all the same (bug 1735 of netfilter.org); beside a
        `list ruleset` it does not. That is of a family without owned tables, and no rule of another table is
        fetched for it, because `list table` narrows both. The definitions of sets are, and 1.0.6 dies of one with
        values that are intervals, which a newer nft made; then all elements come too.
        """
        try:
            return self._listed(f"list ruleset arp; list table inet {name}")
        except NftCrashedError:
            return self._listed(f"list table inet {name}")

    def _listed(self, command: str) -> list[dict[str, Any]]:
        code, output, error = self._ask(LIST, command, "listing")
        if code == 0:
            return _objects(output)
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
        self._used = True
        data = text.encode()
        seconds = self._seconds + len(data) / _BYTES_A_SECOND
        try:
            answer = _answer(worker, REQUEST.pack(what, len(data)) + data, time.monotonic() + seconds)
        except BaseException as error:
            self._worker = None
            worker.kill()  # its late answer would be taken for that to the next request
            _end(worker)
            if isinstance(error, TimeoutError):
                message = f"nft table: {name}: libnftables did not answer within {seconds:.0f} s"
                raise NftCrashedError(message, hint=_NEWER) from error
            raise
        if answer is None:
            self._worker = None
            raise NftCrashedError(f"nft table: {name}: libnftables {_exit_reason(worker)}", hint=_NEWER)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._shared != self._shares():
            self.close()  # it was started before there was a lock to share
        if self._worker is None:
            pipe, self._shared = subprocess.PIPE, self._shares()
            # A process group of its own: an interrupt at the terminal reaches the operator alone, which ends nft.
            self._worker = subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, bufsize=0, process_group=0, pass_fds=self._shared
            )
            for file in (self._worker.stdin, self._worker.stdout):
                assert file is not None
                os.set_blocking(file.fileno(), False)
            adopt(self._worker.pid)
        return self._worker


def _answer(worker: subprocess.Popen[bytes], request: bytes, deadline: float) -> tuple[int, str, str] | None:
    """Return code, output and errors; None if the worker ended instead. TimeoutError at the deadline."""
    if not _send(worker, request, deadline):
        return None
    head = _receive(worker, ANSWER.size, deadline)
    if head is None:
        return None
    code, *sizes = ANSWER.unpack(head)
    output, error = (_receive(worker, size, deadline) for size in sizes)
    if output is None or error is None:
        return None
    return code, output.decode(errors="replace"), error.decode(errors="replace")


def _send(worker: subprocess.Popen[bytes], request: bytes, deadline: float) -> bool:
    """False if the worker no longer reads."""
    assert worker.stdin is not None
    rest = memoryview(request)
    while rest:
        _wait(worker.stdin.fileno(), select.POLLOUT, deadline)
        try:
            rest = rest[os.write(worker.stdin.fileno(), rest) :]
        except BrokenPipeError:
            return False
        except BlockingIOError:
            continue
    return True


def _receive(worker: subprocess.Popen[bytes], size: int, deadline: float) -> bytes | None:
    """So many bytes; None if there are no more so many."""
    assert worker.stdout is not None
    parts: list[bytes] = []
    while size:
        _wait(worker.stdout.fileno(), select.POLLIN, deadline)
        part = os.read(worker.stdout.fileno(), min(size, _PIECE))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _wait(fileno: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(fileno, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def _objects(output: str) -> list[dict[str, Any]]:
    """Reads the last of several answers in JSON. NftCrashedError if it is cut short, or not what nft prints."""
    try:
        objects = json.loads(output.rstrip("\n").rpartition("\n")[2])["nftables"]
        if not all(isinstance(entry, dict) and len(entry) == 1 for entry in objects):
            raise TypeError("not a list of objects")
        if not any("metainfo" in entry for entry in objects):
            raise KeyError("metainfo")
    except (ValueError, KeyError, TypeError) as error:
        raise NftCrashedError(
            f"nft table: listing: libnftables printed no listing ({type(error).__name__}: {error})", hint=_NEWER
        ) from error
    found: list[dict[str, Any]] = objects
    return found


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Close its input and wait for it; one that does not end is killed."""
    for file in (worker.stdin, worker.stdout):
        assert file is not None
        file.close()
    try:
        worker.wait(_ENDING)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _failed(what: str, error: str) -> KernelError | CapabilityError:
    message = f"nft table: {what}: {error.strip()}"
    if "Operation not permitted" in error:
        return CapabilityError(message, hint="run as root, or with CAP_NET_ADMIN in this network namespace")
    return KernelError(message)


def _exit_reason(worker: subprocess.Popen[bytes]) -> str:
    """How the worker ended."""
    _end(worker)
    if worker.returncode < 0:
        return f"died of {signal.Signals(-worker.returncode).name}"
    return f"ended with {worker.returncode}"
