"""A fetch that is killed at any moment, with all of its processes: what is in force is a whole commit, and the next
fetch goes on from there. `--soak 40000` kills 400 times.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from nvi_operator.sources.git.checkouts import Checkouts
from tests.lab.remote import GitRemote

pytestmark = pytest.mark.slow  # rounds, each of several processes

ROUNDS = 5  # and one for each hundred of `--soak`, where that is more
LONGEST = 1.5  # seconds: about what a fetch takes on a busy machine

# A fetcher of its own, until the remote has nothing new.
FETCH = """
import select, sys, time
from pathlib import Path
from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.language.operator.git import GitSource
from nvi_operator.sources.git.checkouts import Checkouts
fetcher = Fetcher(
    GitSource.model_validate({"url": sys.argv[1], "interval": 0}), "edge", Checkouts(Path(sys.argv[2])), print, print
)
done = []
fetcher.sync(lambda new, error: done.append(error))
while not done:
    select.select([fetcher], [], [], max(0.0, min(fetcher.next_due() - time.monotonic(), 1.0)))
    fetcher.step()
fetcher.close()
sys.exit(done[0] is not None)
"""


def fetching(remote: GitRemote, state: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", FETCH, remote.url, str(state)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)


def sessions(process: subprocess.Popen[bytes]) -> list[int]:
    """The fetcher, and what it started, which are first in sessions of their own."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        return [process.pid, *map(int, children.read_text().split())]
    except OSError:
        return [process.pid]


def test_a_killed_fetch_leaves_a_whole_commit_in_force(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rounds = max(ROUNDS, int(request.config.getoption("--soak")) // 100)
    remote, checkouts = GitRemote(tmp_path), Checkouts(tmp_path / "state")
    texts: dict[str, str] = {}

    def commit(number: int) -> str:
        text = f"a: {number}\n" + "# filler\n" * 2000
        made = remote.commit({"gateway.yaml": text, f"more/{number}.yaml": text})
        texts[made] = text
        return made

    commit(-1)
    assert fetching(remote, checkouts.directory).wait(60) == 0
    seen = set()
    for number in range(rounds):
        before, new = checkouts.found().commit, commit(number)
        draw = Random(number)
        process = fetching(remote, checkouts.directory)
        end = time.monotonic() + draw.uniform(0, LONGEST)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        for pid in sessions(process) if draw.random() < 0.7 else [process.pid]:  # the rest has to end by itself
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
        assert checkouts.prepare() == "", f"round {number}: nothing is damaged"
        found = checkouts.found().commit
        assert found in (before, new), number
        assert (checkouts.spec / "gateway.yaml").read_text() == texts[found], number
        seen.add(found == new)
        assert fetching(remote, checkouts.directory).wait(60) == 0, number
        assert checkouts.found().commit == new, number
        assert (checkouts.spec / "gateway.yaml").read_text() == texts[new], number
    left = [path.name for path in (checkouts.directory / "trees").iterdir() if path.name.startswith(".")]
    assert left == [], "what was killed is swept"
    assert False in seen, "no kill came before the end of a fetch"
