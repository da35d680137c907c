"""A git source: what is fetched, what is refused, and what is left when it fails."""

from __future__ import annotations

import json
import os
import select
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.errors import NviError, SourceError
from nvi_operator.events.event import GatewayEvent
from nvi_operator.language.operator.git import GitSource
from nvi_operator.sources.git import worker
from nvi_operator.sources.git.checkouts import Checkout, Checkouts
from nvi_operator.sources.git.command import Remote, command, environment, explained
from nvi_operator.sources.git.refs import choose, version
from nvi_operator.sources.git.tree import spec_blobs
from nvi_operator.sources.git.worker import Job
from tests.lab.net import until
from tests.lab.remote import GitRemote

pytestmark = pytest.mark.slow  # git, in processes by the dozen

GOOD = {
    "gateways/edge/gateway.yaml": "a: 1\n",
    "gateways/edge/lists/forwards.csv": "name\n",
    "README.md": "no spec\n",
}


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    return GitRemote(tmp_path)


@pytest.fixture
def checkouts(tmp_path: Path) -> Checkouts:
    found = Checkouts(tmp_path / "state")
    found.prepare()
    return found


def fetch(remote: GitRemote, checkouts: Checkouts, ref: str = "refs/heads/main", **more: object) -> Checkout:
    """Fetch and publish. Raises SourceError."""
    fields = {"path": "gateways/edge", **more}
    answer = worker.fetch(Job(Remote(remote.url, "file"), ref, directory=str(checkouts.directory), **fields))  # type: ignore[arg-type]
    checkouts.publish(Path(answer["tree"]))
    return Checkout.of(answer["checkout"])


def refusal(remote: GitRemote, checkouts: Checkouts, ref: str = "refs/heads/main", **more: object) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(remote, checkouts, ref, **more)
    return caught.value.message


# --------------------------------------------------------------------------- what is written


def test_the_files_of_a_spec_are_written_and_nothing_else(remote: GitRemote, checkouts: Checkouts) -> None:
    (remote.work / "gateways/edge").mkdir(parents=True)
    (remote.work / "gateways/edge/link.yaml").symlink_to("gateway.yaml")
    commit = remote.commit({**GOOD, "gateways/edge/.hidden.yaml": "x", "gateways/edge/hook.sh": "rm -rf /"})
    found = fetch(remote, checkouts)
    assert (found.commit, found.ref, found.author) == (commit, "refs/heads/main", "Ada <ada@example.net>")
    files = sorted(str(p.relative_to(checkouts.spec)) for p in checkouts.spec.rglob("*") if not p.is_dir())
    assert files == ["gateway.yaml", "link.yaml", "lists/forwards.csv"]
    assert (checkouts.spec / "gateway.yaml").read_text() == "a: 1\n"
    assert stat.S_IMODE((checkouts.spec / "gateway.yaml").stat().st_mode) == 0o600
    assert checkouts.found() == found


def test_attributes_filters_and_hooks_of_the_repository_do_nothing(remote: GitRemote, checkouts: Checkouts) -> None:
    remote.commit({**GOOD, "gateways/edge/.gitattributes": "* text eol=crlf filter=evil ident\n"})
    hook = remote.path / "hooks" / "post-upload-pack"
    hook.parent.mkdir(exist_ok=True)
    fetch(remote, checkouts)
    assert (checkouts.spec / "gateway.yaml").read_bytes() == b"a: 1\n"
    assert not list((checkouts.repository / "hooks").glob("*") if (checkouts.repository / "hooks").exists() else [])


def test_the_first_fetch_has_no_history_and_later_ones_only_what_is_new(
    remote: GitRemote, checkouts: Checkouts
) -> None:
    for number in range(5):
        remote.commit({"gateways/edge/gateway.yaml": f"a: {number}\n"})
    count = ["git", f"--git-dir={checkouts.repository}", "rev-list", "--count", "refs/nvi/accepted"]
    fetch(remote, checkouts)
    assert subprocess.check_output(count) == b"1\n"
    remote.commit({"gateways/edge/gateway.yaml": "a: 6\n"})
    fetch(remote, checkouts)
    assert subprocess.check_output(count) == b"2\n"


def test_a_link_out_a_submodule_lfs_and_strange_names_are_refused_by_name(
    remote: GitRemote, checkouts: Checkouts
) -> None:
    first = remote.commit(GOOD)
    fetch(remote, checkouts)
    edge = remote.work / "gateways/edge"

    def refused(change: Callable[[], object]) -> str:
        change()
        remote.git("add", "-A", "gateways/edge/*.*")
        remote.git("commit", "-q", "-m", "x")
        remote.push()
        told = refusal(remote, checkouts)
        remote.git("reset", "-q", "--hard", first)
        remote.git("clean", "-qfd")
        return told.partition("refused: ")[2]

    for target in ("/etc/shadow", "../../../x.yaml", "lists/../../../README.md"):
        told = refused(lambda target=target: (edge / "out.yaml").symlink_to(target))  # type: ignore[misc]
        assert told == f"out.yaml: the symlink leads out of the tree: {target!r}"
    submodule = f"160000,{first},gateways/edge/sub"
    assert refused(lambda: remote.git("update-index", "--add", "--cacheinfo", submodule)).startswith(
        "sub: it is a subm"
    )
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    assert "in Git LFS" in refused(lambda: (edge / "big.csv").write_text(lfs))
    assert "signs that no file name" in refused(lambda: (edge / "a\nb.yaml").write_text("x"))
    assert (checkouts.spec / "gateway.yaml").read_text() == "a: 1\n", "the one in force is as it was"


@pytest.mark.parametrize("name", ["../x.yaml", "a/../../x.yaml", "/x.yaml", "a//x.yaml", ".GIT/x.yaml", "./x.yaml"])
def test_a_name_that_leads_out_is_refused_though_git_would_not_write_it(name: str) -> None:
    with pytest.raises(SourceError, match="leads out of the tree"):
        spec_blobs(f"100644 blob {'0' * 40}       1\t{name}\0".encode(), "here")


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    line = f"100644 blob {'0' * 40} {200 << 20}\tbig.yaml\0".encode()
    with pytest.raises(SourceError, match=r"here: refused: big.yaml: it has 200 MiB: more than 128"):
        spec_blobs(line, "here")
    half = b"".join(f"100644 blob {'0' * 40} {100 << 20}\t{n}.yaml\0".encode() for n in "abc")
    with pytest.raises(SourceError, match=r"c.yaml: the spec up to this file has more than 256 MiB"):
        spec_blobs(half, "here")
    spec_blobs(line.replace(b"big.yaml", b"big.iso"), "here")


def test_a_path_that_is_not_there_says_what_is(remote: GitRemote, checkouts: Checkouts) -> None:
    commit = remote.commit(GOOD)
    assert refusal(remote, checkouts, path="gateways/ege") == (
        f"{commit[:12]}: no directory 'gateways/ege' in this commit"
    )
    remote.git("update-index", "--add", "--cacheinfo", f"160000,{commit},gateways/sub")
    remote.git("commit", "-qm", "a submodule")
    remote.push()
    assert refusal(remote, checkouts, path="gateways/sub").endswith(
        ": gateways/sub is a submodule: these are not fetched"
    )


# --------------------------------------------------------------------------- rewinds and tags


def test_a_rewound_branch_is_refused_unless_allowed(remote: GitRemote, checkouts: Checkouts) -> None:
    first = remote.commit(GOOD)
    second = remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    fetch(remote, checkouts)
    remote.git("reset", "-q", "--hard", first)
    remote.push()
    assert "its history was rewound" in refusal(remote, checkouts)
    other = remote.commit({"gateways/edge/gateway.yaml": "a: 3\n"})
    told = refusal(remote, checkouts)
    assert told.endswith(f"{other[:12]} does not descend from {second[:12]}")
    assert fetch(remote, checkouts, allow_rewind=True).commit == other


def test_a_rewind_is_known_although_the_repository_was_lost(remote: GitRemote, checkouts: Checkouts) -> None:
    first = remote.commit(GOOD)
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    fetch(remote, checkouts)
    (checkouts.repository / "HEAD").unlink()  # damaged
    third = remote.commit({"gateways/edge/gateway.yaml": "a: 3\n"})
    assert fetch(remote, checkouts).commit == third
    assert (checkouts.directory / "damaged.git").exists()
    (checkouts.repository / "HEAD").unlink()
    remote.git("reset", "-q", "--hard", first)
    remote.push()
    assert "its history was rewound" in refusal(remote, checkouts)


def test_the_tag_with_the_highest_version_is_followed_and_never_a_lower_or_moved_one(
    remote: GitRemote, checkouts: Checkouts
) -> None:
    names = ["v1.10", "v1.9", "v2.0", "v2.0-rc1", "v2.0-rc2", "v1.9.1", "other"]
    refs = {f"refs/tags/{name}": "0" * 40 for name in names}
    assert choose(refs, None, "v*").name == "v2.0"
    assert choose({f"refs/tags/v{'9' * 5000}": "0" * 40, **refs}, None, "v*").name == f"v{'9' * 5000}"
    assert sorted(names[:-1], key=version) == ["v1.9", "v1.9.1", "v1.10", "v2.0-rc1", "v2.0-rc2", "v2.0"]
    remote.commit(GOOD)
    remote.git("tag", "v1.0")
    remote.git("tag", "-a", "-m", "two", "v2.0")
    remote.push("v1.0", "v2.0")
    fetch(remote, checkouts, "refs/tags/v2.0")
    assert refusal(remote, checkouts, "refs/tags/v1.0") == "tag v1.0: refused: v2.0 was there before, and is higher"
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    remote.git("tag", "-f", "v2.0")
    remote.push("v2.0")
    assert "it moved" in refusal(remote, checkouts, "refs/tags/v2.0")


# --------------------------------------------------------------------------- cuts


def test_a_tree_is_whole_or_not_there(checkouts: Checkouts) -> None:
    def cut() -> Iterator[tuple[str, bytes]]:
        yield "a.yaml", b"1"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        checkouts.write(Checkout("0" * 40, "refs/heads/main", "x"), cut(), {})
    assert list((checkouts.directory / "trees").iterdir()) == []


def test_a_damaged_tree_is_set_aside_and_named(remote: GitRemote, checkouts: Checkouts) -> None:
    remote.commit(GOOD)
    fetch(remote, checkouts)
    (checkouts.spec / "gateway.yaml").write_text("torn")
    assert "gateway.yaml is not as it was written): set aside as damaged" in checkouts.prepare()
    assert checkouts.checkout() is None
    assert fetch(remote, checkouts).commit


def test_what_a_killed_git_left_does_not_stop_the_next(remote: GitRemote, checkouts: Checkouts) -> None:
    remote.commit(GOOD)
    fetch(remote, checkouts)
    for left in ("shallow.lock", "packed-refs.lock", "refs/nvi/accepted.lock", "objects/pack/tmp_pack_x"):
        (checkouts.repository / left).write_text("")
    remote.commit({"gateways/edge/gateway.yaml": "a: 2\n"})
    fetch(remote, checkouts)
    assert not list(checkouts.repository.rglob("tmp_*"))


# --------------------------------------------------------------------------- secrets, words


def test_no_secret_is_among_arguments_or_variables(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    remote = Remote("https://git.example.net/x.git", "https", token=str(token), user="deploy")
    arguments, variables = (
        command(remote, "credential", "fill"),
        environment(remote, {"GIT_TRACE": "1", "PATH": os.defpath}),
    )
    assert "s3cret" not in f"{arguments} {variables}"
    assert "GIT_TRACE" not in variables
    filled = subprocess.run(
        arguments, env=variables, input=b"protocol=https\nhost=git.example.net\n\n", capture_output=True, check=True
    )
    assert b"username=deploy\npassword=s3cret\n" in filled.stdout


def test_git_may_use_one_transport_and_runs_no_configuration_of_others(remote: GitRemote, tmp_path: Path) -> None:
    remote.commit(GOOD)
    evil = Remote(f"ext::sh -c 'touch {tmp_path}/ran'", "file")
    done = subprocess.run(
        command(evil, "ls-remote", evil.url), env=environment(evil), capture_output=True, check=False
    )
    assert b"transport 'ext' not allowed" in done.stderr
    ssh = Remote(remote.url, "ssh")
    done = subprocess.run(command(ssh, "ls-remote", ssh.url), env=environment(ssh), capture_output=True, check=False)
    assert b"transport 'file' not allowed" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_what_git_says_is_told_on_a_line_with_a_hint() -> None:
    said = b"Host key verification failed.\r\nfatal: Could not read from remote repository.\n\nPlease make sure\n"
    assert explained(said)[0] == "Host key verification failed"
    assert "ssh-keyscan" in explained(said)[1]
    assert explained(b"fatal: \x1b[2Jbad\n") == ("?[2Jbad", "")
    for said, hint in (
        ("The requested URL returned error: 403", "the token may not read"),
        ("The requested URL returned error: 301", "redirects to"),
        ("certificate subject name (forge) does not match target host name '192.0.2.1'", "the host's name"),
        ("Authentication failed for 'https://git.example.net/x.git/'", "has ended"),
    ):
        assert hint in explained(f"fatal: unable to access 'https://x/': {said}\n".encode())[1], said


# --------------------------------------------------------------------------- in the loop


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
    assert "no end within 1 s" in str(watched.fetcher.state.error)
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
    for expected in ("600 s: main is followed meanwhile", "600 s: ended it"):  # it is tried again, and told
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
