"""The events of a gateway, each with the words that tell it. Pure.

A new event is a class here or in `revisions.py`, a line in `kinds.py` and one in docs/events.md. Fields hold text and
numbers only: an event is kept, sent as JSON and put into the journal long after the objects that it tells of are
gone. Text is bounded where it is made.
"""

from __future__ import annotations

from dataclasses import fields
from enum import IntEnum
from typing import Any, ClassVar

from nvi_operator.dataclass import dataclass


class Level(IntEnum):
    """The levels of syslog(3)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


@dataclass(frozen=True, kw_only=True)
class GatewayEvent:
    """`gateway` is empty before the first good spec, `revision` outside of a git checkout."""

    kind: ClassVar[str]
    level: ClassVar[Level] = Level.INFO
    gateway: str = ""
    revision: str = ""

    @property
    def text(self) -> str:
        """What is logged: one line, or a first line and what belongs to it."""
        raise NotImplementedError

    @property
    def summary(self) -> str:
        """The text on one line, for tables and notifications."""
        return self.text.partition("\n")[0]

    @property
    def name(self) -> str:
        """`edge at a1b2c3d (main)`"""
        return f"{self.gateway} at {self.revision}" if self.revision else self.gateway


@dataclass(frozen=True, kw_only=True)
class InSync(GatewayEvent):
    """A reconcile that was asked for found nothing to do."""

    kind = "in-sync"

    @property
    def text(self) -> str:
        return f"{self.name}: nothing to change: in sync"


@dataclass(frozen=True, kw_only=True)
class Applied(GatewayEvent):
    """The spec or the host asked for another state, and the kernel holds it now."""

    kind = "applied"
    level = Level.NOTICE
    entries: tuple[str, ...]  # lines of the spec's entries, at most a screen
    done: str  # `3 created, 1 updated`
    steps: int
    seconds: float

    @property
    def text(self) -> str:
        return "\n".join([f"{self.name}: changes", *self.entries, self.summary])

    @property
    def summary(self) -> str:
        return f"{self.gateway}: applied and verified in {self.seconds * 1000:.0f} ms: {self.done}: in sync"


@dataclass(frozen=True, kw_only=True)
class Drift(GatewayEvent):
    """Another process changed what the gateway owns. `changed_by`: as far as the kernel tells."""

    kind = "drift"
    level = Level.WARNING
    entries: tuple[str, ...]
    changed_by: tuple[str, ...] = ()
    beside_table: bool = False  # while the nft table cannot be listed
    left: bool = False  # the spec's drift policy is to report it: it stays

    @property
    def text(self) -> str:
        by = f" by {', '.join(self.changed_by)}" if self.changed_by else ""
        what = " beside the nft table" if self.beside_table else by
        return "\n".join([f"{self.name}: drift{what}{', left as it is' if self.left else ''}", *self.entries])


@dataclass(frozen=True, kw_only=True)
class Healed(GatewayEvent):
    """Drift was undone. `in_sync`: nothing else differs, as far as is known."""

    kind = "healed"
    level = Level.NOTICE
    steps: int
    seconds: float
    in_sync: bool = True

    @property
    def text(self) -> str:
        return f"{self.gateway}: healed in {self.seconds * 1000:.0f} ms: in sync" if self.in_sync else "healed"


@dataclass(frozen=True, kw_only=True)
class Failed(GatewayEvent):
    """A reconcile was stopped before it changed anything, or its revert failed as well.

    `retry`: seconds until the next attempt; None: at the next change.
    """

    kind = "failed"
    level = Level.ERROR
    error: str
    retry: float | None = None

    @property
    def text(self) -> str:
        return f"{self.error}\n{next_attempt(self.retry)}"


@dataclass(frozen=True, kw_only=True)
class Reverted(Failed):
    """A step or the verification failed, and everything is as it was before."""

    kind = "reverted"

    @property
    def text(self) -> str:
        return f"{self.error}\n  reverted: everything is as it was before\n{next_attempt(self.retry)}"


@dataclass(frozen=True, kw_only=True)
class SourceFailed(Failed):
    """The newest spec is wrong, or none can be fetched. `in_force`: an earlier one stays in force."""

    kind = "source-failed"
    in_force: bool = True
    fetching: bool = False  # it failed before the spec was read

    @property
    def text(self) -> str:
        what = "the source failed" if self.fetching else "the new spec is wrong"
        about = f"{self.name}: " if self.name else ""  # a source belongs to no gateway
        head = f"{about}{what}; the last good one stays in force\n" if self.in_force else ""
        return f"{head}{self.error}\n{next_attempt(self.retry)}"


@dataclass(frozen=True, kw_only=True)
class SourceGood(GatewayEvent):
    """The spec was wrong, and is right again; or the source failed, and works again."""

    kind = "source-good"
    level = Level.NOTICE
    fetching: bool = False

    @property
    def text(self) -> str:
        about = f"{self.name}: " if self.name else ""
        return f"{about}{'the source works' if self.fetching else 'the spec is right'} again"


@dataclass(frozen=True, kw_only=True)
class Fetched(GatewayEvent):
    """The source has another commit: it is applied next."""

    kind = "fetched"
    level = Level.NOTICE
    remote: str
    ref: str
    commit: str
    author: str
    subject: str
    signer: str = ""

    @property
    def text(self) -> str:
        signed = f", signed by {self.signer}" if self.signer else ""
        return f"{self.remote}: {self.ref}: {self.commit[:7]} by {self.author}{signed}: {self.subject}"


@dataclass(frozen=True, kw_only=True)
class Unwatched(GatewayEvent):
    """The spec's directory cannot be watched: the timer alone finds changes."""

    kind = "unwatched"
    level = Level.WARNING
    error: str

    @property
    def text(self) -> str:
        return f"{self.error}\n  until then: the timer"


@dataclass(frozen=True, kw_only=True)
class Note(GatewayEvent):
    """What a user should know about this gateway on this host, beyond errors."""

    kind = "note"
    note: str

    @property
    def text(self) -> str:
        return f"{self.gateway}: note: {self.note}" if self.gateway else self.note


@dataclass(frozen=True, kw_only=True)
class Paused(GatewayEvent):
    """An object is left alone for `wait` seconds, because another process keeps changing it."""

    kind = "paused"
    level = Level.WARNING
    object: str
    heals: int
    window: float  # seconds within which it was healed so often
    wait: float
    changed_by: tuple[str, ...] = ()  # the most likely first

    @property
    def text(self) -> str:
        who = " and ".join(self.changed_by[:2]) or "a process that the kernel does not name"
        return (
            f"{self.object}: changed by {who}, and healed {self.heals} times within {self.window:g} s: "
            f"paused for {self.wait:g} s"
        )


@dataclass(frozen=True, kw_only=True)
class Resumed(GatewayEvent):
    """Objects that were paused are reconciled again."""

    kind = "resumed"
    objects: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{', '.join(self.objects)}: no longer paused: reconciled again"


@dataclass(frozen=True, kw_only=True)
class UplinkDown(GatewayEvent):
    """An uplink takes no new flows from now on."""

    kind = "uplink-down"
    level = Level.WARNING
    uplink: str
    reason: str

    @property
    def text(self) -> str:
        return f"{self.gateway}: uplink {self.uplink}: down: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class UplinkUp(GatewayEvent):
    """An uplink that was down takes new flows again."""

    kind = "uplink-up"
    level = Level.NOTICE
    uplink: str

    @property
    def text(self) -> str:
        return f"{self.gateway}: uplink {self.uplink}: up"


@dataclass(frozen=True, kw_only=True)
class ServerDown(GatewayEvent):
    """The probes of a server of a forward say that it is down. `stays`: it takes new flows, because none works."""

    kind = "server-down"
    level = Level.WARNING
    forward: str
    server: str
    reason: str
    stays: bool

    @property
    def text(self) -> str:
        stays = "; it stays, because none works" if self.stays else ""
        return f"{self.gateway}: forward {self.forward}: server {self.server}: down: {self.reason}{stays}"


@dataclass(frozen=True, kw_only=True)
class ServerUp(GatewayEvent):
    """A server that was down takes new flows again."""

    kind = "server-up"
    level = Level.NOTICE
    forward: str
    server: str

    @property
    def text(self) -> str:
        return f"{self.gateway}: forward {self.forward}: server {self.server}: up"


@dataclass(frozen=True, kw_only=True)
class Lease(GatewayEvent):
    """An uplink has other addresses or routers than before."""

    kind = "lease"
    level = Level.NOTICE
    uplink: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def text(self) -> str:
        new, old = (", ".join(addresses) or "none" for addresses in (self.after, self.before))
        return f"{self.gateway}: uplink {self.uplink}: address {new}, was {old}"


@dataclass(frozen=True, kw_only=True)
class Stranded(GatewayEvent):
    """Flows whose translation the gateway no longer has: `ended` of them were deleted, the others remain."""

    kind = "stranded"
    level = Level.NOTICE
    why: str  # `uplink isp-a is down`
    flows: int
    ended: int

    @property
    def text(self) -> str:
        kept = f", {self.flows - self.ended:,} kept" if self.flows > self.ended else ""
        flows = f"{self.flows:,} flow{'' if self.flows == 1 else 's'}"
        return f"{self.gateway}: {self.why}: {flows} stranded: {self.ended:,} ended{kept}"


@dataclass(frozen=True, kw_only=True)
class HookFailed(GatewayEvent):
    """A hook gave up on an event; `dropped` events were discarded before, because its queue was full."""

    kind = "hook-failed"
    level = Level.WARNING
    hook: str
    error: str
    dropped: int = 0

    @property
    def text(self) -> str:
        dropped = f"; {self.dropped:,} events dropped: its queue was full" if self.dropped else ""
        return f"hook {self.hook}: {self.error}{dropped}"


def next_attempt(wait: float | None) -> str:
    """What follows an error. `wait`: seconds; None: it takes a change."""
    return "  next attempt: " + ("at the next change" if wait is None else f"in {wait:.2g} s")


def event_fields(event: GatewayEvent) -> dict[str, Any]:
    """What only this kind of event has, by the names of JSON."""
    common = {field.name for field in fields(GatewayEvent)}
    return {camel(f.name): _plain(getattr(event, f.name)) for f in fields(event) if f.name not in common}


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
