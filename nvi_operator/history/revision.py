"""A revision: one spec as it was tried on a gateway, and what came of it. Pure.

A revision that was tried and holds the same files as the one before is the same revision, unless anything came of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from functools import cached_property

from nvi_operator.dataclass import dataclass

Files = Mapping[str, bytes]  # by their name in the spec directory


class RevisionResult(StrEnum):
    """What came of a try."""

    BEGUN = "begun"  # and no end was recorded: the process was killed, or is at it still
    APPLIED = "applied"
    UNCHANGED = "unchanged"  # the kernel held it already
    REFUSED = "refused"  # before anything was changed
    REVERTED = "reverted"
    FAILED = "failed"  # and so did the revert


class Standing(StrEnum):
    """Is it a state to return to?"""

    NONE = ""  # it never held
    PENDING = "pending"  # it holds until its deadline
    CONFIRMED = "confirmed"
    RETURNED = "returned"  # it held, and was given up for the confirmed one


@dataclass(frozen=True)
class Origin:
    """Where a spec comes from, as far as its source knows. Texts are empty where it does not."""

    commit: str = ""
    author: str = ""
    signer: str = ""  # whose signature was verified
    remote: str = ""
    ref: str = ""


@dataclass(frozen=True)
class Requester:
    """The process that asked for it. `uid` is the one of the login, where there was one; `session` is the kernel's
    number of the login session, None where a service asked.
    """

    uid: int
    pid: int
    session: int | None = None
    command: str = ""


@dataclass(frozen=True)
class Revision:
    """One try. `files` is empty where the gateway was removed. `time` in seconds since 1970."""

    number: int
    time: float
    gateway: str
    action: str  # the command: apply, down, run, rollback
    asked: Requester
    result: RevisionResult = RevisionResult.BEGUN
    standing: Standing = Standing.NONE
    error: str = ""
    check: str = ""  # the declared check that failed
    reasons: tuple[str, ...] = ()
    plan: str = ""  # as `nvictl plan` prints it
    steps: int = 0
    seconds: float = 0.0
    of: int | None = None  # the revision that it repeats: of a rollback
    confirmed_by: str = ""
    origin: Origin | None = None
    files: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Does the kernel hold it, as far as it is known?"""
        return self.result in (RevisionResult.APPLIED, RevisionResult.UNCHANGED)

    def given_up(self, why: str) -> Revision:
        return replace(self, standing=Standing.RETURNED, confirmed_by="", error=why)


@dataclass(frozen=True)
class Content:
    """What a revision consists of. No files: there is no gateway."""

    gateway: str
    files: Files = field(default_factory=dict, repr=False)

    @cached_property
    def digest(self) -> str:
        """Equal for equal files. The daemon asks at each reconcile, and it takes 1 ms for each MB: once is enough."""
        whole = hashlib.sha256(self.gateway.encode())
        for name in sorted(self.files):
            whole.update(f"\0{name}\0{len(self.files[name])}\0".encode())
            whole.update(self.files[name])
        return whole.hexdigest()
