"""A git source in the loop: when it is asked, what is told of it, and what one that hangs or fails costs."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.errors import NviError
from nvi_operator.events.event import GatewayEvent
from nvi_operator.language.operator.git import GitSource
from nvi_operator.sources.git.checkouts import Checkouts
from nvi_operator.sources.git.command import Remote
from nvi_operator.sources.git.worker import Job
from tests.lab.net import until
from tests.lab.remote import GitRemote
from tests.unit.sources.repository import GOOD, fetch

pytestmark = pytest.mark.slow  # git, in processes by the dozen

LIMIT = 1000.0  # seconds for git


class Watched:
    """A fetcher, driven as the loop drives it."""

    def __init__(self, source: GitSource, checkouts: Checkouts) -> None:
        self.stopped: float | None = None  # what a clock says that stands still
        self.drawn = 0.0  # what the random numbers are
        self.events: list[GatewayEvent] = []
        self.new = 0
        self.outcomes: list[tuple[bool, NviError | None]] = []
        self.passed = 0.0  # seconds, besides those that pass by themselves
        self.fetcher = Fetcher(
            source, "edge", checkouts, self.events.append, self._found, now=self.now, random=lambda: self.drawn
        )

    def now(self) -> float:
        return (time.monotonic() if self.stopped is None else self.stopped) + self.passed

    def wait(self) -> float:
        """Seconds until the next look, after one that is made now, by a clock that stands still meanwhile."""
        self.stopped = 0.0
        self.passed = self.fetcher.next_due()
        self.until(lambda: 0 < self.fetcher.next_due() - self.now() < LIMIT)  # LIMIT: git is at work
        return self.fetcher.next_due() - self.now()

    def _found(self) -> None:
        self.new += 1

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, self.events
            due = max(0.0, min(self.fetcher.next_due() - self.now(), 0.1))
            select.select([self.fetcher], [], [], due)
            began = time.monotonic()
            self.fetcher.step()
            # On a busy machine a second or two pass until a process is started.
            assert time.monotonic() - began < 5, "the loop never waits for git"

    def sync(self) -> tuple[bool, NviError | None]:
        self.outcomes.clear()
        self.fetcher.sync(lambda new, error: self.outcomes.append((new, error)))
        self.until(lambda: bool(self.outcomes))
        return self.outcomes[0]


@pytest.fixture
def watch(remote: GitRemote, checkouts: Checkouts) -> Iterator[Callable[..., Watched]]:
    begun: list[Watched] = []

    def begin(**fields: object) -> Watched:
        data = {"url": remote.url, "path": "gateways/{hostname}", "interval": 0, **fields}
        begun.append(Watched(GitSource.model_validate(data), checkouts))
        return begun[-1]

    yield begin
    for each in begun:
        each.fetcher.close()


def replace_git(script: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `git` of this shell script, until the test ends or puts PATH back."""
    git = directory / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\n{script}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")


def test_a_push_is_found_once_and_told(remote: GitRemote, watch: Callable[..., Watched]) -> None:
    remote.commit(GOOD)
    watched = watch()
    watched.until(lambda: watched.new == 1)
    assert watched.sync() == (False, None)
    assert [event.kind for event in watched.events] == ["fetched"]
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    assert watched.sync() == (True, None)
    assert watched.new == 2


def test_a_proof_is_an_answer_to_a_question_that_begins_after_it_is_asked_for(
    remote: GitRemote, watch: Callable[..., Watched]
) -> None:
    remote.commit(GOOD)
    watched = watch()
    told: list[NviError | None] = []
    watched.fetcher.step()  # asks; that may have begun too early
    watched.fetcher.reach(told.append)
    watched.until(lambda: bool(told))
    assert (told, watched.new) == ([None], 1), "the first answer was fetched before the second question"
    remote.path.rename(remote.path.with_name("away.git"))
    watched.fetcher.reach(told.append)
    watched.until(lambda: len(told) == 2)
    assert "does not appear to be a git repository" in str(told[1])


def test_a_refusal_is_told_once_until_something_changes(remote: GitRemote, watch: Callable[..., Watched]) -> None:
    first = remote.commit(GOOD)
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    watched = watch(interval=1, jitter=0)
    watched.until(lambda: watched.new == 1)
    remote.git("reset", "-q", "--hard", first)
    remote.push()
    watched.until(lambda: watched.fetcher.state.error is not None)
    asked = watched.fetcher.state.fetched
    watched.until(lambda: watched.fetcher.state.fetched != asked)  # asked again, and not fetched again
    assert [event.kind for event in watched.events] == ["fetched", "source-failed"]
    remote.git("reset", "-q", "--hard", "ORIG_HEAD")
    remote.push()
    watched.until(lambda: watched.fetcher.state.error is None)
    assert watched.events[-1].kind == "source-good"


@pytest.mark.parametrize(("more", "longest"), [({}, 12), ({"jitter": 5}, 15), ({"jitter": 0}, 10)])
def test_gateways_that_start_at_once_do_not_ask_again_at_once(
    remote: GitRemote, watch: Callable[..., Watched], more: dict[str, int], longest: int
) -> None:
    remote.commit(GOOD)
    watched = watch(interval=10, timeout=LIMIT, **more)
    watched.sync()
    for drawn in (0.0, 0.5, 1.0):
        watched.drawn = drawn
        assert watched.wait() == pytest.approx(10 + drawn * (longest - 10))


def test_a_remote_that_does_not_answer_is_asked_less_and_less_often_and_by_the_interval_once_it_does(
    remote: GitRemote, watch: Callable[..., Watched]
) -> None:
    remote.commit(GOOD)
    away = remote.path.with_name("away.git")
    watched, by_hand = watch(interval=10, jitter=0, timeout=LIMIT), watch(timeout=LIMIT)
    watched.sync()
    remote.path.rename(away)
    assert [watched.wait() for _ in range(6)] == pytest.approx([1, 2, 4, 8, 10, 10])
    assert [by_hand.wait() for _ in range(10)] == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 300])
    away.rename(remote.path)
    assert watched.wait() == 10
    remote.path.rename(away)
    watched.drawn = 1.0  # the random numbers take up to half of a wait away
    assert [watched.wait() for _ in range(5)] == pytest.approx([1, 1, 2, 4, 8])


@pytest.mark.parametrize(("ends", "why"), [("", "early EOF"), ("sleep 1000", "not done within 1000 s: killed")])
def test_a_remote_that_dies_or_stalls_within_a_pack_leaves_the_spec_in_force(
    remote: GitRemote,
    watch: Callable[..., Watched],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
    why: str,
) -> None:
    remote.commit(GOOD)
    watched = watch(timeout=LIMIT)
    assert watched.sync() == (True, None)
    before, stalled = watched.fetcher.checkouts.found(), tmp_path / "stalled"
    remote.commit({"gateways/edge/gateway.yaml": "a: 2 # " + os.urandom(300_000).hex()})

    # git-upload-pack is the remote's; the answer to the question for refs is short, and comes whole. Of
    # the pack, which comes in packets of up to 64 KiB, at least one does: of a part git takes nothing.
    programs = tmp_path / "programs"
    programs.mkdir()
    real = subprocess.check_output(["git", "--exec-path"], text=True).strip()
    for program in Path(real).iterdir():
        (programs / program.name).symlink_to(program)
    (programs / "git-upload-pack").unlink()
    cut = f'{real}/git-upload-pack "$@" | dd bs=1 count=150000 status=none'
    rest = f": >{stalled}; {ends}" if ends else ""
    (programs / "git-upload-pack").write_text(f"#!/bin/sh\n{cut}\n{rest}\n")
    (programs / "git-upload-pack").chmod(0o755)
    path = os.environ["PATH"]
    replace_git(f'GIT_EXEC_PATH={programs} exec {shutil.which("git")} "$@"', tmp_path, monkeypatch)

    watched.fetcher.sync(lambda new, error: watched.outcomes.append((new, error)))
    if ends:
        watched.until(stalled.exists)
        watched.passed += LIMIT
    watched.until(lambda: watched.fetcher.state.error is not None)
    assert why in str(watched.fetcher.state.error)
    assert watched.events[-1].kind == "source-failed"
    assert watched.fetcher.checkouts.found() == watched.fetcher.state.checkout == before
    assert (watched.fetcher.checkouts.spec / "gateway.yaml").read_text() == "a: 1\n"

    monkeypatch.setenv("PATH", path)
    assert watched.sync() == (True, None), "the remote is there again"
    assert watched.fetcher.state.error is None
    assert not list(watched.fetcher.checkouts.repository.rglob("tmp_*")), "what was cut off is swept"


def test_a_token_that_others_may_read_is_not_used(watch: Callable[..., Watched], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    token.chmod(0o640)
    watched = watch(url="https://127.0.0.1:9/x.git", token=str(token))
    watched.until(lambda: watched.fetcher.state.error is not None)
    assert watched.fetcher.state.error is not None
    assert watched.fetcher.state.error.message == f"{token}: other users may read this token"


def test_a_git_that_hangs_is_ended_with_its_children(
    watch: Callable[..., Watched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_git(f"sleep 1000 & echo $! > {tmp_path}/pid; wait", tmp_path, monkeypatch)
    watched = watch(timeout=1)
    watched.until(lambda: watched.fetcher.state.error is not None)
    assert "not done within 1 s" in str(watched.fetcher.state.error)
    child = int((tmp_path / "pid").read_text())
    until(
        lambda: not Path(f"/proc/{child}/stat").exists() or " Z " in Path(f"/proc/{child}/stat").read_text(),
        "its end",
    )


def test_a_repository_of_sha256_is_followed_and_a_change_to_it_is_no_rewind_unseen(
    checkouts: Checkouts, watch: Callable[..., Watched], remote: GitRemote, tmp_path: Path
) -> None:
    remote.commit(GOOD)
    watched = watch()
    assert watched.sync() == (True, None)
    shutil.rmtree(remote.path)
    shutil.rmtree(remote.work)
    converted = GitRemote(tmp_path, "sha256")
    converted.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    _, error = watched.sync()
    assert error is not None
    assert "its history was rewound" in error.message
    assert (checkouts.spec / "gateway.yaml").read_text() == "a: 1\n"
    watched.fetcher.close()
    watched = watch(allowRewind=True)
    assert watched.sync() == (True, None)
    for text in ("a: 3\n", "a: 4\n"):
        commit = converted.commit({"gateways/edge/gateway.yaml": text})
        assert watched.sync() == (True, None)
        assert (checkouts.found().commit, len(commit)) == (commit, 64)
        assert (checkouts.spec / "gateway.yaml").read_text() == text
    assert checkouts.prepare() == "", "its files are known to be whole"


def test_a_testing_branch_that_takes_too_long_does_not_hold_up_the_followed_one(
    remote: GitRemote, watch: Callable[..., Watched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = tmp_path / "hangs"
    hang = f'case "$*" in *" fetch "*refs/heads/testing/*) : > {hangs}; exec sleep 1000;; esac'
    replace_git(f'{hang}\nexec {shutil.which("git")} "$@"', tmp_path, monkeypatch)
    remote.commit(GOOD)
    watched = watch(testing=True, timeout=600)
    watched.until(lambda: watched.new == 1)
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    remote.push("main:testing/edge")
    for expected in ("600 s: main is followed meanwhile", "600 s: killed"):  # it is tried again, and told
        watched.outcomes.clear()
        watched.fetcher.sync(lambda new, error: watched.outcomes.append((new, error)))
        watched.until(hangs.exists)
        hangs.unlink()
        watched.passed += 600
        watched.until(lambda: bool(watched.outcomes))
        assert (watched.fetcher.checkouts.spec / "gateway.yaml").read_text() == "a: 2\n"
        assert expected in watched.events[-2 if watched.outcomes[0][0] else -1].text


def test_a_full_disk_leaves_the_spec_in_force(
    remote: GitRemote, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system refuses to let files grow: git's and the worker's own."""
    remote.commit(GOOD)
    before = fetch(remote, checkouts)
    remote.commit({"gateways/edge/gateway.yaml": "a: 2 # " + os.urandom(50_000).hex()})
    job = Job(Remote(remote.url, "file"), "refs/heads/main", "gateways/edge", str(checkouts.directory))
    program = "from nvi_operator.sources.git import worker; worker.MOST_BYTES = 20_000; worker.main()"
    done = subprocess.run([sys.executable, "-c", program], input=job.json(), capture_output=True, check=False)
    assert "error" in json.loads(done.stdout)
    assert checkouts.found() == before
    assert fetch(remote, checkouts).commit != before.commit


def test_where_a_branch_was_renamed_the_default_branch_is_named(
    remote: GitRemote, watch: Callable[..., Watched]
) -> None:
    remote.commit(GOOD)
    watched = watch()
    watched.until(lambda: watched.new == 1)
    remote.git("push", "-q", "origin", "main:trunk")
    remote.git("symbolic-ref", "HEAD", "refs/heads/trunk", cwd=remote.path)
    remote.git("push", "-q", "origin", ":main")
    _, error = watched.sync()
    assert error is not None
    assert error.message == "branch main: not in the remote repository"
    assert error.hint == "push it, or name another: its default branch is trunk"
    assert (watched.fetcher.checkouts.spec / "gateway.yaml").read_text() == "a: 1\n", "what is in force stays"


def test_a_testing_branch_is_followed_while_it_is_ahead(remote: GitRemote, watch: Callable[..., Watched]) -> None:
    remote.commit(GOOD)
    watched = watch(testing=True)
    watched.until(lambda: watched.new == 1)

    def followed() -> str:
        _, error = watched.sync()
        assert error is None
        checkout = watched.fetcher.state.checkout
        assert checkout is not None
        return f"{checkout.ref} {(watched.fetcher.checkouts.spec / 'gateway.yaml').read_text()}"

    remote.git("checkout", "-q", "-b", "testing/edge")
    for text in ("a: 2\n", "a: 3\n"):  # the second is force-pushed
        remote.git("reset", "-q", "--hard", "main")
        remote.commit({"gateways/edge/gateway.yaml": text})
        assert followed() == f"refs/heads/testing/edge {text}"
    remote.git("checkout", "-q", "main")
    remote.commit({"gateways/edge/gateway.yaml": "a: 4\n"})
    assert followed() == "refs/heads/main a: 4\n", "it is no longer ahead"
    seen = watched.new
    remote.git("push", "-q", "origin", ":testing/edge")
    assert followed() == "refs/heads/main a: 4\n"
    assert watched.new == seen
    remote.git("push", "-q", "-f", "origin", "main:testing/edge")
    remote.git("checkout", "-q", "-B", "testing/edge")
    (remote.work / "gateways/edge/out.yaml").symlink_to("/etc/shadow")
    remote.commit({})
    assert followed() == "refs/heads/main a: 4\n", "a refused one leaves main in force"
    assert "out of the tree: '/etc/shadow': main is followed" in watched.events[-1].text

    remote.git("checkout", "-q", "main")
    remote.commit({"gateways/edge/gateway.yaml": "a: 5\n"})
    damaged = remote.path.parent / "commit"
    damaged.write_text(f"tree {remote.git('rev-parse', 'main^{tree}')}\n\nno author\n")
    commit = remote.git("hash-object", "-t", "commit", "-w", "--literally", str(damaged))
    remote.git("push", "-q", "-f", "origin", f"{commit}:refs/heads/testing/edge")
    assert followed() == "refs/heads/main a: 5\n", "one that git does not take holds up nothing"
    assert watched.sync()[1] is not None, "it is tried again, and told"
