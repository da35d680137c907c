"""Killed at any point, with any disk and clock: the next start ends in exactly the revision that its record says.

Each round is a gateway that holds a confirmed spec, a daemon that tries a new one, which is to be confirmed, and what
goes wrong meanwhile, all drawn by a seed. The next daemon starts from what is on disk and in the kernel.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from nvi_operator.daemon.judge import Judge
from nvi_operator.daemon.recording import Recording
from nvi_operator.errors import KernelError, NviError
from nvi_operator.history.decisions import DecisionsFile, Moment, PendingRevision
from nvi_operator.history.revision import Standing
from nvi_operator.history.store import History, HistoryError
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from nvi_operator.plan.change import Change
from nvi_operator.plan.compile import desired_state
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.rollout import trial
from nvi_operator.rollout.trial import Confirm
from nvi_operator.state.host import HostState
from nvi_operator.testing import FakeKernel, Killed
from nvi_operator.topology.resolve import resolve

pytestmark = pytest.mark.slow  # rounds by the dozen

ROUNDS = 200  # and so many times `--soak` / 20, where that is more
SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  interfaces: {{ lan0: {{ networks: 192.168.1.0/24 }} }}
  uplinks: {{ isp-a: {{ interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }} }}
  sourceNat: [{{ name: all, as: isp-a }}]
  forwards: {{ web: {{ ports: {port}/tcp, to: 192.168.1.80 }} }}{more}
"""
OLD = load_texts({"a.yaml": SPEC.format(port=80, more="")})
ROUTE = "\n  routes: [{ name: dns, to: 9.9.9.9/32, via: isp-a }]"
NEW = load_texts({"a.yaml": SPEC.format(port=443, more=ROUTE)})


def desired(spec: LoadedSpec) -> HostState:
    return desired_state(resolve(spec.name, spec.spec, FakeKernel.for_spec(OLD.spec).facts_))


STATES = {"old": desired(OLD), "new": desired(NEW)}


@dataclass
class Unchecked:
    """A gateway without checks."""

    kernel: FakeKernel

    def failing_checks(self) -> Mapping[str, str]:
        return {}

    def is_vacant(self) -> bool:
        return not self.kernel.objects


@dataclass
class Source:
    """Within reach, and asks for no trial."""

    proven: Callable[[PendingRevision], bool]

    def trial(self) -> None:
        return None

    def was_reached(self) -> bool:
        return True


@dataclass
class World:
    """What outlives a process."""

    directory: Path
    kernel: FakeKernel = field(default_factory=lambda: FakeKernel.for_spec(OLD.spec))
    moment: Moment = field(default_factory=lambda: Moment("boot-1", 1000.0))

    answers: bool = False  # does the remote, through the gateway as it is?

    def start(self, fault: Callable[[str], None], spec: LoadedSpec, by: str = "hand") -> None:
        """A daemon starts, and makes one reconcile; a second one where its question was answered meanwhile."""
        decisions, history = DecisionsFile(self.directory, keeps_on=True), History(self.directory)
        asked: list[PendingRevision] = []

        def proven(pending: PendingRevision) -> bool:
            asked.append(pending)
            return len(asked) > 1 and self.answers

        with faults(self.kernel, fault), history:
            judge = Judge(
                decisions,
                history,
                Path("."),
                nullcontext,
                lambda event: None,
                Confirm(60.0, by),
                lambda: self.moment,
                lambda *_: fault("arm"),
                gateway=lambda: Unchecked(self.kernel),
                source=Source(proven),
            )
            recording = Recording(history, Path("."), lambda text: None)
            try:
                used = judge.in_force(spec)
                recording.begin(used, delta=False)
                compiler = Compiler("edge", used.spec.spec if used.spec else None)

                def step(change: Change) -> None:
                    judge.step(recording.step(change))

                outcome = reconcile(self.kernel, compiler, on_step=step)
                judge.reached(used, lambda standing: recording.end(outcome, standing))
                if asked:
                    judge.reached(judge.in_force(spec), lambda standing: recording.end(outcome, standing))
            except NviError as error:
                judge.stopped(error)

    @property
    def holds(self) -> str:
        return next((name for name, state in STATES.items() if self.kernel.state == state), "in between")


@contextmanager
def faults(kernel: FakeKernel, fault: Callable[[str], None]) -> Iterator[None]:
    """`fault` is called before each step that reaches the kernel or the disk, and may raise."""
    with pytest.MonkeyPatch.context() as patch:

        def around(owner: object, name: str, what: str) -> None:
            before = getattr(owner, name)

            def wrapped(*arguments: object, **named: object) -> object:
                fault(what)
                found = before(*arguments, **named)
                fault(f"after {what}")
                return found

            patch.setattr(owner, name, wrapped)

        around(kernel, "apply", "kernel")
        around(DecisionsFile, "write", "decisions")
        around(History, "_write", "history")
        around(os, "rename", "disk")
        yield


def fault_at(number: int, kind: str) -> Callable[[str], None]:
    """The `number`th step is the last one, or is refused."""
    count = 0

    def fault(what: str) -> None:
        nonlocal count
        count += 1
        if count == number and kind == "kill":
            raise Killed
        if count >= number and kind == "full disk" and what == "disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if count == number and kind == "refusal" and what == "kernel":
            raise KernelError("refused by the test")

    return fault


def no_fault(what: str) -> None:
    """Nothing goes wrong."""


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return max(ROUNDS, int(request.config.getoption("--soak")) // 20)


def test_the_next_start_ends_in_the_revision_that_its_record_says(tmp_path: Path, rounds: int) -> None:
    ended = set()
    for seed in range(rounds):
        draw, world = Random(seed), World(tmp_path / str(seed))
        world.start(no_fault, OLD)
        assert world.holds == "old", seed
        kind = draw.choice(["kill", "kill", "full disk", "refusal"])
        with suppress(Killed):
            world.start(fault_at(draw.randrange(1, 40), kind), NEW)
        if draw.random() < 0.3:  # the one who looks next is killed as well
            world.moment = draw.choice([world.moment, Moment("boot-1", 2000.0), Moment("boot-2", 5.0)])
            with suppress(Killed):
                world.start(fault_at(draw.randrange(1, 40), "kill"), NEW)
        pending = DecisionsFile(world.directory).read().pending
        confirmed = pending is not None and draw.random() < 0.3 and bool(pending.left(world.moment))
        if confirmed:
            with History(world.directory) as history:
                trial.confirm(DecisionsFile(world.directory), history, "user 0", world.moment)
        late = draw.random() < 0.5
        if late:
            world.moment = draw.choice([Moment("boot-1", 9000.0), Moment("boot-2", 1.0)])
        world.start(no_fault, NEW)
        world.start(no_fault, NEW)
        found = DecisionsFile(world.directory).read()
        expected = "old" if found.held else "new"
        assert world.holds == expected, (seed, kind, found)
        if confirmed:
            assert world.holds == "new", seed
        if pending and not confirmed and not pending.left(world.moment):
            assert (world.holds, found.pending) == ("old", None), seed
        ended.add((world.holds, found.pending is not None))
        applied = len(world.kernel.applied)
        world.start(no_fault, NEW)
        assert len(world.kernel.applied) == applied, f"seed {seed}: it is at rest"
        with History(world.directory) as history:
            assert history.verify() == [], seed
            assert history.newest(Standing.CONFIRMED) is not None, seed
    assert ended == {("old", False), ("new", True), ("new", False)}


def test_a_proof_that_was_interrupted_is_begun_again_and_ends_as_the_remote_answers(
    tmp_path: Path, rounds: int
) -> None:
    ended = set()
    for seed in range(rounds // 2):
        draw, world = Random(seed), World(tmp_path / str(seed))
        world.start(no_fault, OLD)  # by hand: the first needs no confirmation
        world.answers = draw.random() < 0.5
        with suppress(Killed):
            world.start(fault_at(draw.randrange(1, 60), "kill"), NEW, "proof")
        world.start(no_fault, NEW, "proof")
        found = DecisionsFile(world.directory).read()
        assert (world.holds, found.pending is None) == ("new", world.answers), seed
        world.moment = replace(world.moment, seconds=9000.0)
        world.start(no_fault, NEW, "proof")
        world.start(no_fault, NEW, "proof")
        assert world.holds == ("new" if world.answers else "old"), seed
        with History(world.directory) as history:
            returned = history.newest(Standing.RETURNED)
        if not world.answers:
            assert returned is not None
            assert returned.error == "not confirmed within 60 s: the source did not answer", seed
        ended.add(world.holds)
    assert ended == {"old", "new"}


@pytest.mark.parametrize("answers", [True, False])
def test_what_comes_while_the_first_revision_waits_returns_to_it_where_it_was_proven(
    tmp_path: Path, answers: bool
) -> None:
    world, decisions, told = World(tmp_path), DecisionsFile(tmp_path), list[str]()
    source = Source(lambda pending: False)
    with History(tmp_path) as history:
        judge = Judge(
            decisions,
            history,
            Path("."),
            nullcontext,
            lambda event: told.append(event.kind),
            Confirm(60.0, "proof"),
            lambda: world.moment,
            lambda *_: None,
            gateway=lambda: Unchecked(world.kernel),
            source=source,
        )
        recording = Recording(history, Path("."), lambda text: None)

        def applied(spec: LoadedSpec) -> PendingRevision:
            used = judge.in_force(spec)
            source.proven = lambda pending: False
            recording.begin(used, delta=False)
            compiler = Compiler("edge", spec.spec)
            outcome = reconcile(world.kernel, compiler, on_step=lambda step: judge.step(recording.step(step)))
            judge.reached(used, lambda standing: recording.end(outcome, standing))
            pending = decisions.read().pending
            assert pending is not None
            return pending

        assert applied(OLD).back.revision == 0
        source.proven = lambda pending: answers  # as the fetch that brought the next commit
        assert applied(NEW).back.revision == (1 if answers else 0)
        assert ("confirmed" in told) is answers


def test_a_damaged_or_lost_record_never_stops_the_gateway_from_being_kept(tmp_path: Path) -> None:
    for number, name in enumerate(("history.sqlite", "decisions.json", "audit.jsonl")):
        for damage in (b"", b"\x00" * 5000, None):
            world = World(tmp_path / f"{number}{damage!r}"[:9])
            world.start(no_fault, OLD)
            world.start(no_fault, NEW)  # pending
            path = world.directory / name
            path.unlink(missing_ok=True)
            if damage is not None:
                path.write_bytes(damage)
            world.kernel.drop([next(iter(world.kernel.objects))])
            world.start(no_fault, NEW)
            assert world.holds == "new", (name, damage)
            world.moment = replace(world.moment, seconds=9000.0)
            world.start(no_fault, NEW)
            assert world.holds == "old", (name, damage)  # a lost decision was made again, as the policy has it


@contextmanager
def broken(disk: Path, how: str) -> Iterator[None]:
    """Within, this file system is full, read-only, or fails to read any file."""
    files = [file for file in disk.iterdir() if how == "fails"]
    if how == "is full":
        with suppress(OSError), (disk / "others").open("wb", buffering=0) as others:
            while others.write(bytes(4096)):
                pass
    elif how == "is read-only":
        mount("-o", "remount,ro", disk)
    for file in files:
        mount("--bind", f"/proc/{os.getpid()}/mem", file)  # whose first bytes cannot be read: an I/O error
    yield
    for file in files:
        subprocess.run(["umount", file], check=True)
    if how == "is read-only":
        mount("-o", "remount,rw", disk)
    (disk / "others").unlink(missing_ok=True)


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


@pytest.mark.netns
@pytest.mark.parametrize("how", ["is full", "is read-only", "fails"])
def test_the_gateway_is_kept_while_its_disk(tmp_path: Path, how: str) -> None:
    world = World(tmp_path)
    mount("-t", "tmpfs", "-o", "size=256k", "none", tmp_path)
    try:
        world.start(no_fault, OLD)
        world.start(no_fault, NEW)  # pending
        with broken(tmp_path, how):
            world.kernel.drop([next(iter(world.kernel.objects))])
            world.start(no_fault, NEW)
            assert world.holds == "new"
            if how == "fails":
                with pytest.raises(KernelError, match=r"decisions.json: reading decisions: Input/output error"):
                    DecisionsFile(tmp_path).read()
                with (
                    History(tmp_path) as history,
                    pytest.raises(HistoryError, match=r"sqlite: reading: disk I/O"),
                ):
                    history.revisions()
            else:
                written = {"is full": "No space left on device", "is read-only": "Read-only file system"}[how]
                with pytest.raises(KernelError, match=rf"decisions.json: writing decisions: {written}"):
                    DecisionsFile(tmp_path).write(DecisionsFile(tmp_path).read())
        world.moment = replace(world.moment, seconds=9000.0)
        world.start(no_fault, NEW)
        assert world.holds == "old"  # as its record, which is whole, says
        with History(tmp_path) as history:
            assert history.verify() == []
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
