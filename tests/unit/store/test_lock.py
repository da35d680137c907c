"""One process at a time changes a gateway; others wait and name it; the lock is root's and ends with its holder."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nvi_operator.errors import BusyError, ConflictError
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.store.leftovers import sweep
from nvi_operator.store.lock import GatewayLock
from tests.lab.net import until
from tests.lab.processes import is_alive

_HOLD = """
import sys, time
from pathlib import Path
from nvi_operator.store.lock import GatewayLock
lock = GatewayLock(7, "nvictl apply /etc/edge", directory=Path(sys.argv[1]))
with getattr(lock, sys.argv[2])():
    print("held", flush=True)
    sys.stdin.read()
"""

Hold = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def hold(run: Path) -> Iterator[Hold]:
    """Another process that is `changing` or `running` until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def begin(what: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(run), what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


def lock(run: Path, wait: float = 0, **options: object) -> GatewayLock:
    return GatewayLock(7, "nvictl down", wait=wait, directory=run, **options)  # type: ignore[arg-type]


def test_a_waiting_process_names_the_holder_and_continues_when_it_ends(run: Path, hold: Hold) -> None:
    other, told = hold("changing"), list[str]()

    def say(text: str) -> None:
        told.append(text)
        assert other.stdin is not None
        other.stdin.close()

    with closing(lock(run, 20, say=say)) as ours, ours.changing():
        assert told == [f"waiting for nvictl apply /etc/edge (pid {other.pid}), at most 20 s"]


def test_the_limit_ends_the_waiting_and_names_the_other(run: Path, hold: Hold) -> None:
    other = hold("changing")
    with closing(lock(run)) as ours, pytest.raises(BusyError) as caught, ours.changing():
        raise AssertionError("two at once")
    assert f"waited 0 s for nvictl apply /etc/edge (pid {other.pid})" in caught.value.message
    assert "--wait" in caught.value.hint


def test_another_namespace_is_another_gateway(run: Path, hold: Hold) -> None:
    hold("changing")
    with closing(GatewayLock(8, "nvictl down", wait=0, directory=run)) as ours, ours.changing():
        pass


def test_kill_9_of_the_holder_frees_it(run: Path, hold: Hold) -> None:
    for what in ("changing", "running"):
        other = hold(what)
        other.kill()
        other.wait()
        with closing(lock(run, 20, alone=True)) as ours, ours.changing():
            assert ours.instance() is None


@pytest.mark.parametrize("what", ["running", "changing"])
def test_what_outlives_a_killed_daemon_for_a_moment_is_not_in_the_way(run: Path, what: str) -> None:
    outlived = """
import os, subprocess, sys
from pathlib import Path
from nvi_operator.store.lock import GatewayLock
lock = GatewayLock(7, "nvictl run", directory=Path(sys.argv[1]))
with lock.running():
    subprocess.Popen(["sleep", "0.5"], stdout=subprocess.DEVNULL, pass_fds=lock.shared())
    os._exit(0)
"""
    subprocess.run([sys.executable, "-c", outlived, run], check=True)
    with closing(lock(run, 20, alone=True)) as ours, getattr(ours, what)():
        assert ours.instance() is None


def test_one_instance_runs_and_others_may_change_beside_it_but_for_those_that_must_be_alone(
    run: Path, hold: Hold
) -> None:
    other = hold("running")
    with closing(lock(run)) as ours:
        assert str(ours.instance()) == f"nvictl apply /etc/edge (pid {other.pid})"
        with ours.changing():
            pass
        with pytest.raises(ConflictError, match="is already running"), ours.running():
            raise AssertionError("two instances")
    with closing(lock(run, alone=True)) as ours, pytest.raises(ConflictError) as caught, ours.changing():
        raise AssertionError("beside an instance")
    assert f"kill {other.pid}" in caught.value.hint


def test_an_instance_is_not_in_its_own_way(run: Path) -> None:
    with closing(lock(run, alone=True)) as ours, ours.running(), ours.changing(), ours.changing():
        assert ours.instance() is None


def test_only_root_can_open_it(run: Path) -> None:
    run.mkdir(mode=0o755)  # as earlier versions made it
    with closing(lock(run)) as ours, ours.changing():
        pass
    assert [stat.filemode(path.stat().st_mode) for path in (run, run / "lock-7")] == ["drwx--x--x", "-rw-------"]


@pytest.mark.parametrize("what", ["link to a file", "link to a directory", "pipe"])
def test_what_another_user_may_have_put_there_is_not_opened(run: Path, what: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    if what == "link to a directory":
        target.mkdir()
        run.symlink_to(target)
    else:
        run.mkdir()
        if what == "pipe":
            os.mkfifo(run / "lock-7")
        else:
            target.touch()
            (run / "lock-7").symlink_to(target)
    with pytest.raises(Exception, match="run") as caught, closing(lock(run)) as ours, ours.changing():
        raise AssertionError("it was used")
    assert type(caught.value).__module__ == "nvi_operator.errors"


def test_another_users_directory_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConflictError, match="of user"), closing(lock(run)) as ours, ours.changing():
        raise AssertionError("it was used")


_WORKER = """
import sys, time
from pathlib import Path
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.store.leftovers import sweep
from nvi_operator.store.lock import GatewayLock
lock = GatewayLock(7, "nvictl apply /etc/edge", directory=Path(sys.argv[1]))
nft = Nft(shares=lock.shared)  # before there is a lock to share
with lock.changing():
    worker = nft._started()
    print(worker.pid, flush=True)
    sys.stdin.read()
"""


def test_a_worker_holds_the_lock_as_long_as_it_lives_and_dies_with_its_parent(run: Path) -> None:
    """Stopped, it stands for a transaction that the kernel has not finished when the parent is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        until(lambda: _ignored(worker) & 1 << signal.SIGHUP - 1, "it is ready")
        assert run / "lock-7" in map(Path.readlink, Path(f"/proc/{worker}/fd").iterdir())
        os.kill(worker, signal.SIGSTOP)
        parent.kill()
    with closing(lock(run, 20)) as ours, ours.changing():
        until(lambda: not is_alive(worker), "it has ended, of which closing its files is the beginning")


def _ignored(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))


def test_without_a_lock_a_worker_shares_nothing() -> None:
    with Nft() as nft:
        assert nft.list_skeleton("no-such-table") == []


def test_a_removed_lock_is_made_again_by_who_waited_for_it(run: Path, hold: Hold) -> None:
    with closing(lock(run)) as first, closing(lock(run)) as waiting:
        with waiting.changing():
            pass  # it has the file open
        assert first.remove()
        assert list(run.iterdir()) == []
        with waiting.changing(), pytest.raises(BusyError), closing(lock(run)) as third, third.changing():
            raise AssertionError("two at once")
        assert hold("running")
        assert not first.remove()


def test_what_namespaces_that_are_gone_have_left_is_removed_and_nothing_else(run: Path, hold: Hold) -> None:
    hold("running")
    for cookie in (8, 9):
        with closing(GatewayLock(cookie, "nvictl apply", directory=run)) as made, made.changing():
            (run / f"settings-{cookie}.json").write_text("[]")
    sweep(lambda: {8}, run)
    assert {path.name for path in run.iterdir()} == {"lock-7", "lock-8", "settings-8.json"}
    sweep(lambda: (), run)  # as if all were gone: the one that is held stays
    assert {path.name for path in run.iterdir()} == {"lock-7"}
