"""How a verdict leaves the guest: numbered lines of JSON, and at the end a digest of all of them and of a secret.

The secret is new for each boot. So neither a guest that hangs or dies, nor a line that is lost on the way, nor the
report of another run can look like success.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

Record = dict[str, Any]


class BrokenReportError(Exception):
    """The guest did not come to its end, or not all of its report came through."""


class Writer:
    def __init__(self, stream: BinaryIO, secret: str) -> None:
        self._stream = stream
        self._digest = hashlib.sha256(secret.encode())
        self._number = 0

    def write(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"n": self._number, "kind": kind, **fields}).encode()
        self._number += 1
        self._digest.update(line)
        self._send(line)

    def close(self) -> None:
        self._send(json.dumps({"n": self._number, "kind": "end", "digest": self._digest.hexdigest()}).encode())

    def _send(self, line: bytes) -> None:
        self._stream.write(line + b"\n")
        self._stream.flush()


def parse(data: bytes) -> Iterator[Record]:
    """The records that have come so far, unverified: to show progress."""
    for line in data.split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "kind" in record:
            yield record


def verified(data: bytes, secret: str) -> list[Record]:
    """All records. Raises BrokenReportError unless every one of them is there, and the end."""
    *lines, last = data.removesuffix(b"\n").split(b"\n")
    digest = hashlib.sha256(secret.encode())
    for line in lines:
        digest.update(line)
    try:
        end = json.loads(last)
    except ValueError:
        end = None
    if not isinstance(end, dict) or end.get("kind") != "end":
        raise BrokenReportError(f"the report breaks off after {len(lines)} lines")
    if end.get("digest") != digest.hexdigest() or end.get("n") != len(lines):
        raise BrokenReportError(f"the report is not what the guest wrote: {len(lines)} lines came of {end.get('n')}")
    return [json.loads(line) for line in lines]


def slowest(records: Iterable[Record], count: int) -> list[tuple[str, float]]:
    """The tests that took longest, each with its seconds: setup, call and teardown together."""
    seconds: Counter[str] = Counter()
    for record in records:
        if "test" in record:
            seconds[record["test"]] += record["seconds"]
    return seconds.most_common(count)
