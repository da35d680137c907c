"""A git source in the daemon's loop: asks the remote, has what is new fetched, and tells. It never waits for git.

    due --> git ls-remote --.--> nothing new: due again after the interval
                            `--> worker (sources/git/worker.py) --> another commit: publish it, reconcile

Whatever fails leaves the spec in force as it is, is told once, and is tried again later: after 1 s, 2 s ... up to the
interval. What was refused is looked at again only by `sync`, or once the remote has something else.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import random as uniform
from typing import Any

from nvi_operator.daemon.backoff import Backoff
from nvi_operator.daemon.child import Child
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, SourceError
from nvi_operator.events.event import Fetched, GatewayEvent, Note, SourceFailed, SourceGood
from nvi_operator.kernel.again import module_command
from nvi_operator.language.model.values import HOST_PATTERN
from nvi_operator.language.operator.git import HOSTNAME, GitSource, SignaturesSpec
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.command import Remote, command, environment, explained
from nvi_operator.sources.git.refs import HEADS, TAGS, TESTING, Tip, choose, default_branch, parse_refs, short_ref
from nvi_operator.sources.git.verify import Signatures
from nvi_operator.sources.git.worker import Job

LEAST_WAIT = 1.0  # seconds between two attempts
LONGEST_WAIT = 300.0  # seconds, of the backoff where the interval is shorter
REPEAT = 600.0  # seconds after which an error that lasts is told again
REACH_SECONDS = 15.0  # for an answer, where a proof waits for it: it is asked again then
_WORKER = "nvi_operator.sources.git.worker"
_NEVER = float("inf")


@dataclass(frozen=True)
class FetchState:
    """The state of the source, for `status`: times in seconds since 1970."""

    remote: str
    ref: str = ""
    checkout: Checkout | None = None
    fetched: float | None = None  # when the remote answered last
    error: NviError | None = None


# What a fetch found: was there another commit, and what went wrong.
Done = Callable[[bool, NviError | None], None]
Reached = Callable[[NviError | None], None]  # did the remote answer? If not, why not


class Fetcher:
    """A station of the daemon's loop (`daemon/interfaces.py`)."""

    def __init__(
        self,
        source: GitSource,
        hostname: str,
        checkouts: Checkouts,
        emit: Callable[[GatewayEvent], None],
        on_new: Callable[[], None],
        *,
        signatures: SignaturesSpec | None = None,
        now: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = uniform,
    ) -> None:
        """Raises SourceError or NviError where the directory or the hostname cannot be used."""
        self._source = source
        self._remote = remote_of(source)
        self._signatures = signatures_of(signatures)
        self._path = path_of(source, hostname)
        self._testing = f"{TESTING}{hostname}" if source.testing else ""
        self.checkouts = checkouts
        self._emit = emit
        self._on_new = on_new
        self._now, self._random = now, random
        self._backoff = Backoff(LEAST_WAIT, max(LONGEST_WAIT, min(source.interval, 3600.0)), random)
        self._epoll = select.epoll()
        self._child: Child | None = None
        self._fetching = False  # is it the worker that runs?
        self._looks_at_testing = False  # and does it fetch the testing branch as well?
        self._tip: tuple[Tip, str] | None = None  # and the testing branch's commit
        self._refused: tuple[Tip, str] | None = None  # asked for again only by `sync`
        self._due = now()
        self._asked = self.answered = -_NEVER  # when the last question began, and the last one that was answered
        self._deadline, self._limit = _NEVER, _NEVER
        self._waiting: list[Done] = []
        self._next: list[Done] = []  # asked while a fetch was under way: it may have begun too early for them
        self._reaching: list[Reached] = []  # for the question that is under way
        self._reach_next: list[Reached] = []
        self._told: tuple[str, float] = ("", float("-inf"))
        if note := checkouts.prepare():
            emit(Note(note=note))
        self.state = FetchState(source.url.text, checkout=checkouts.checkout())

    # ---------------------------------------------------------------- station

    def fileno(self) -> int:
        return self._epoll.fileno()

    def next_due(self) -> float:
        return self._deadline if self._child is not None else self._due

    def step(self) -> None:
        if self._child is None:
            if self._due <= self._now():
                self._ask()
        elif self._epoll.poll(0):
            child, self._child, self._deadline = self._child, None, _NEVER
            self._epoll.unregister(child.pidfd)
            self._ended(child)
        elif self._deadline <= self._now():
            self._child.kill()
            self._deadline = _NEVER  # its end is reported as soon as the kernel can

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._epoll.close()

    def sync(self, done: Done) -> None:
        """Fetch now, also what was refused before. `done` is called when that is over, before any reconcile."""
        self._refused = None
        if self._child is not None:
            self._next.append(done)
            return
        self._waiting.append(done)
        self._due = self._now()

    def reach(self, done: Reached) -> None:
        """Ask the remote as soon as possible. `done` is told of the first question that begins after this call."""
        self._reach_next.append(done)
        if self._child is None:
            self._due = self._now()

    # ---------------------------------------------------------------- asking, fetching

    def _ask(self) -> None:
        self._fetching = self._looks_at_testing = False
        self._asked = self._now()
        self._reaching, self._reach_next = self._reach_next, []
        if self._source.token and (error := _unsafe(self._source.token)):
            self._failed(error)
            return
        self._bound(min(self._source.timeout, REACH_SECONDS if self._reaching else _NEVER))
        wanted = f"{TAGS}{self._source.tag}" if self._source.tag else f"{HEADS}{self._source.branch or 'main'}"
        refs = [wanted, self._testing] if self._testing else [wanted]
        self._start(command(self._remote, "ls-remote", "--symref", "-q", "--", self._remote.url, "HEAD", *refs), b"")

    def _bound(self, seconds: float) -> None:
        """What is started next has so long."""
        self._limit = seconds
        self._deadline = self._now() + seconds

    def _fetch(self, tip: Tip, testing: str) -> None:
        """`testing`: the testing branch's commit; empty: it is not looked at."""
        self._bound(self._source.timeout)
        self._fetching, self._looks_at_testing = True, bool(testing)
        job = Job(
            remote=self._remote,
            ref=tip.ref,
            path=self._path,
            directory=str(self.checkouts.directory),
            object=tip.object,
            allow_rewind=self._source.allow_rewind,
            signatures=self._signatures,
            testing=self._testing if testing else "",
            testing_object=testing,
        )
        self._start(module_command(_WORKER), job.json())

    def _start(self, arguments: list[str] | tuple[str, ...], data: bytes) -> None:
        try:
            self._child = Child(arguments, environment(self._remote), data, limited=not self._fetching)
        except OSError as error:
            hint = "install git" if isinstance(error, FileNotFoundError) else ""
            self._failed(SourceError(f"{self._remote.url}: starting git: {error.strerror or error}", hint=hint))
            return
        self._epoll.register(self._child.pidfd, select.EPOLLIN)

    def _ended(self, child: Child) -> None:
        code, output, errors = child.wait()
        try:
            if child.killed and (tip := self._without_testing()):
                ended = f"{short_ref(self._testing)}: not done within {self._limit:g} s"
                self._emit(Note(note=f"{ended}: {tip.name} is followed meanwhile"))
                self._fetch(tip, "")
            elif child.killed:
                raise SourceError(
                    f"{self._remote.url}: not done within {self._limit:g} s: killed",
                    hint="look at the network, or raise spec.source.git.timeout",
                )
            elif self._fetching:
                self._fetched(_parsed(output, errors, self._remote.url))
            elif code != 0:
                why, hint = explained(errors)
                raise SourceError(f"{self._remote.url}: git ls-remote: {why}", hint=hint)
            else:
                refs = parse_refs(output)
                tip = choose(refs, self._source.branch, self._source.tag, default_branch(output))
                self._answered(tip, refs.get(self._testing, ""))
        except SourceError as error:
            self._failed(error)

    def _answered(self, tip: Tip, testing: str) -> None:
        """The remote has this tip, and this on its testing branch: is anything new?"""
        self.answered = self._asked
        self.state = replace(self.state, ref=tip.name, fetched=time.time())
        self._tell_reached(None)
        known = self._accepted(tip)
        if (tip, testing) == self._refused:
            self._rest()  # as before
        elif known is not None and known.testing == testing:
            self._done(new=False)
        else:
            self._tip = (tip, testing)
            self._fetch(tip, testing)

    def _accepted(self, tip: Tip) -> Checkout | None:
        """The checkout that was made when this tip was accepted; None: it is new."""
        known = self.state.checkout
        same = known is not None and known.remote == self._remote.url and known.path == self._path
        if not same or known is None or (self._signatures is not None and not known.signer):
            return None
        return known if known.seen.get(tip.ref) == tip.object else None

    def _without_testing(self) -> Tip | None:
        """The new tip that the testing branch must not hold up; None where the fetch was not of both."""
        if not self._looks_at_testing or self._tip is None:
            return None
        tip, _ = self._tip
        return None if self._accepted(tip) else tip

    def _fetched(self, answer: dict[str, Any]) -> None:
        for note in answer.get("notes", ()):
            self._emit(Note(note=note))
        if "error" in answer:
            if answer.get("refused"):
                self._refused = self._tip
            raise SourceError(answer["error"], hint=answer["hint"])
        checkout = Checkout.of(answer["checkout"])
        try:
            self.checkouts.publish(Path(answer["tree"]))
        except OSError as error:
            raise SourceError(f"{self.checkouts.current}: replacing it: {error.strerror or error}") from error
        before = self.state.checkout
        self.state = replace(self.state, checkout=checkout, fetched=time.time())
        if before is not None and (before.commit, before.ref, before.path) == (
            checkout.commit,
            checkout.ref,
            checkout.path,
        ):
            self._done(new=False)  # the testing branch moved, and is not followed; or the signature is known now
            return
        self._emit(
            Fetched(
                remote=checkout.remote,
                ref=short_ref(checkout.ref),
                commit=checkout.commit,
                author=checkout.author,
                subject=checkout.subject,
                signer=checkout.signer,
            )
        )
        self._done(new=True)

    # ---------------------------------------------------------------- outcomes

    def _done(self, *, new: bool) -> None:
        self._refused = None
        if self.state.error is not None:
            self._emit(SourceGood(fetching=True))
        self.state = replace(self.state, error=None)
        self._told = ("", float("-inf"))
        self._backoff.reset()
        self._rest()
        self._tell(new, None)
        if new:
            self._on_new()

    def _failed(self, error: NviError) -> None:
        self._tell_reached(error)
        self.state = replace(self.state, error=error)
        wait = self._rest(retry=True)
        text, now = str(error), self._now()
        if self._told[0] != text or self._told[1] + REPEAT <= now:
            self._told = (text, now)
            in_force = self.state.checkout is not None
            self._emit(SourceFailed(error=text, retry=wait, in_force=in_force, fetching=True))
        self._tell(False, error)

    def _rest(self, *, retry: bool = False) -> float | None:
        """When is the next look due? Returns the seconds until then; None: at the next `sync`."""
        interval = self._source.interval
        waits = [interval + self._source.longest_jitter * self._random()] if interval else []
        if retry and self._refused is None:
            waits = [min([self._backoff.next(), *waits])]
        wait = max(LEAST_WAIT, min(waits)) if waits else None
        self._due = _NEVER if wait is None else self._now() + wait
        return wait

    def _tell(self, new: bool, error: NviError | None) -> None:
        waiting, self._waiting, self._next = self._waiting, self._next, []
        if self._waiting or self._reach_next:
            self._due = self._now()
        for done in waiting:
            done(new, error)

    def _tell_reached(self, error: NviError | None) -> None:
        reaching, self._reaching = self._reaching, []
        for done in reaching:
            done(error)


def remote_of(source: GitSource) -> Remote:
    return Remote(
        url=source.url.text,
        transport=source.url.transport,
        key=source.key or "",
        known_hosts=source.known_hosts or "",
        token=source.token or "",
        user=source.user or "",
        ca=source.ca or "",
    )


def signatures_of(spec: SignaturesSpec | None) -> Signatures | None:
    if spec is None:
        return None
    return Signatures(spec.allowed_signers or "", spec.revoked_keys or "", spec.keyring or "")


def path_of(source: GitSource, hostname: str) -> str:
    """In the repository. Raises SourceError where the hostname cannot be a part of it."""
    if HOSTNAME in source.path and not HOST_PATTERN.fullmatch(hostname):
        raise SourceError(
            f"hostname {hostname!r}: cannot be part of a path", hint="set another: hostnamectl hostname NAME"
        )
    return source.path.replace(HOSTNAME, hostname)


def _unsafe(token: str) -> SourceError | None:
    """Why a token is not to be used, as ssh refuses a key that others may read; None: it is safe."""
    try:
        mode = os.stat(token).st_mode
    except OSError as error:
        return SourceError(f"{token}: reading the token: {error.strerror}", hint="write it, and chmod 600 it")
    if mode & 0o077:
        return SourceError(f"{token}: other users may read this token", hint=f"chmod 600 {token}")
    return None


def _parsed(output: bytes, errors: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        why, hint = explained(errors)
        raise SourceError(f"{url}: the worker ended without an answer: {why}", hint=hint) from None
    assert isinstance(found, dict)
    return found
