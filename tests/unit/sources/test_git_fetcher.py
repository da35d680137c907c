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


class Watched:
    """A fetcher, driven as the loop drives it."""

    def __init__(self, source: GitSource, checkouts: Checkouts) -> None:
        self.events: list[GatewayEvent] = []
        self.new = 0
        self.outcomes: list[tuple[bool, NviError | None]] = []
        self.passed = 0.0  # seconds, besides those that pass by themselves
        self.fetcher = Fetcher(source, "edge", checkouts, self.events.append, self._found, now=self.now)

    def now(self) -> float:
        return time.monotonic() + self.passed

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
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\nsleep 1000 & echo $! > {tmp_path}/pid; wait\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
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
    git, hangs = tmp_path / "bin" / "git", tmp_path / "hangs"
    git.parent.mkdir()
    hang = f'case "$*" in *" fetch "*refs/heads/testing/*) : > {hangs}; exec sleep 1000;; esac'
    git.write_text(f'#!/bin/sh\n{hang}\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
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
