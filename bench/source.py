"""What a revision's way costs, beside what it cannot cost less than: `sudo .venv/bin/python -m bench.source`.

push     from the start of `git push` on a file remote to a packet on the new way, by `nvictl sync`
poll     CPU time of the operator for a poll that finds nothing new, besides git's
history  `nvictl history` of 1,000 revisions
status   `nvictl status` through the control socket
rest     resident memory of `nvictl run` with a small spec
kept     what the history takes on disk once one of 100,000 forwards was edited 1,000 times; measured once

Each round has all others, in an order that rotates; medians and quartiles are told, with the goals.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.control import inputs
from bench.report import machine, markdown
from bench.stats import rotated, summary
from nvi_operator.daemon.fetcher import Fetcher
from nvi_operator.history.revision import Content, Requester, Revision, RevisionResult, Standing
from nvi_operator.history.store import History
from nvi_operator.language.operator.git import GitSource
from nvi_operator.rollout.place import VARIABLE, state_directory
from nvi_operator.sources.git.checkouts import Checkouts
from tests.lab import Lab, Site, dual_wan
from tests.lab.remote import GitRemote
from tests.netns.scenarios import A, B, spec

NVICTL = str(Path(sys.executable).with_name("nvictl"))
PYTHON = (sys.executable, "-I", "-c", "pass")
REVISIONS = 1000
POLLS = 20  # in a round
GOALS = {
    "push": "1000 ms",
    "poll": "5 ms of CPU",
    "history": "150 ms",
    "status": "60 ms",
    "rest": "60 MiB",
    "kept": "200 MiB",
}
FORWARDS = 100_000
MIB = ("rest", "kept")
Measure = Callable[[], float]  # milliseconds, or MiB


def wall(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return 1000 * (time.perf_counter() - began)


@contextmanager
def following(site: Site, remote: GitRemote, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`nvictl run` with the remote as its source, when its first commit is in force."""
    config = directory / "operator.yaml"
    config.write_text(
        f"apiVersion: nvi-operator/v1\nkind: Operator\nspec:\n  source: {{git: {{url: {remote.url}, interval: 0}}}}\n"
    )
    command = [NVICTL, "run", "--config", str(config), "--netns", site.gateway.netns]
    with (directory / "log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: seen(site) == A, daemon)
        yield daemon
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)


def until(happened: Callable[[], bool], daemon: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert daemon.poll() is None, "nvictl run ended"
        assert time.monotonic() < deadline, "nvictl run is not through"
        time.sleep(0.002)


def seen(site: Site) -> str:
    """The address by which a client inside is known outside now."""
    try:
        with site.client.connect(site.far.address, 443) as flow:
            return flow.seen
    except (OSError, AssertionError):
        return ""


def pushes(site: Site, remote: GitRemote, daemon: subprocess.Popen[bytes]) -> Measure:
    way = {"isp-a": A, "isp-b": B}
    last = "isp-a"

    def push() -> float:
        nonlocal last
        last = "isp-b" if last == "isp-a" else "isp-a"
        text = spec().replace("    - name: everyone\n      as: isp-a", f"    - name: everyone\n      as: {last}")
        remote.commit({"gateway.yaml": text}, push=False)
        began = time.perf_counter()
        remote.push()
        sync = subprocess.Popen([NVICTL, "sync", "--netns", site.gateway.netns], stdout=subprocess.DEVNULL)
        until(lambda: seen(site) == way[last], daemon)
        taken = 1000 * (time.perf_counter() - began)
        sync.wait(30)
        return taken

    return push


def pulls(remote: GitRemote, directory: Path) -> Measure:
    """git alone: a push of a commit, and a pull of it in another working copy."""
    copy = directory / "copy"
    subprocess.run(["git", "clone", "-q", str(remote.path), str(copy)], check=True)

    def pull() -> float:
        remote.commit({}, push=False)
        began = time.perf_counter()
        remote.push()
        subprocess.run(["git", "-C", str(copy), "pull", "-q"], check=True, capture_output=True)
        return 1000 * (time.perf_counter() - began)

    return pull


@contextmanager
def polling(remote: GitRemote, directory: Path) -> Iterator[tuple[Measure, Measure]]:
    """CPU time of this process for each poll, and that of git meanwhile."""
    checkouts = Checkouts(directory / "polled")
    source = GitSource.model_validate({"url": remote.url, "interval": 0})
    with closing(Fetcher(source, "edge", checkouts, lambda event: None, lambda: None)) as fetcher:

        def poll() -> None:
            done: list[object] = []
            fetcher.sync(lambda new, error: done.append(error))
            while not done:
                select.select([fetcher], [], [], max(0.0, min(fetcher.next_due() - time.monotonic(), 1.0)))
                fetcher.step()
            assert done == [None], done

        def git() -> float:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime

        def measured(clock: Callable[[], float]) -> float:
            poll()  # what is new since
            began = clock()
            for _ in range(POLLS):
                poll()
            return 1000 * (clock() - began) / POLLS

        yield lambda: measured(time.process_time), lambda: measured(git)


def fill(directory: Path) -> None:
    """Revisions of a small spec, each with another forward."""
    texts = (spec().replace("443/tcp", f"{1024 + number}/tcp").encode() for number in range(REVISIONS))
    record(directory, texts)


def record(directory: Path, texts: Iterable[bytes]) -> None:
    revision = Revision(0, 1.0, "edge", "apply", Requester(0, 1), RevisionResult.APPLIED, Standing.CONFIRMED, steps=1)
    with History(directory) as history:
        for text in texts:
            history.add(revision, Content("edge", {"gateway.yaml": text}), durable=False)
        assert len(history.revisions()) == REVISIONS, "none was dropped"


def kept(directory: Path) -> float:
    """MiB, after edits of random forwards to another port of their server each."""
    draw, forwards = random.Random(17), list(inputs.entries(FORWARDS))
    lines = inputs.yaml(forwards).splitlines(keepends=True)  # each forward is one of the last FORWARDS

    def edits() -> Iterator[bytes]:
        for number in range(REVISIONS):
            place = draw.randrange(-FORWARDS, 0)
            changed = replace(forwards[place], server_port=1 + number)
            lines[place] = inputs.yaml([changed]).splitlines(keepends=True)[-1]
            yield "".join(lines).encode()

    record(directory, edits())
    return sum(path.stat().st_size for path in directory.iterdir()) / (1 << 20)


def resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def measure(rounds: int, directory: Path) -> Mapping[str, list[float]]:
    remote = GitRemote(directory)
    remote.commit({"gateway.yaml": spec()})
    with Lab() as lab:
        site = dual_wan(lab)
        site.far.serve(443)
        netns = ("--netns", site.gateway.netns)
        fill(site["client"].call(state_directory))
        with following(site, remote, directory) as daemon, polling(remote, directory) as (poll, git):
            steps: dict[str, Measure] = {
                "push": pushes(site, remote, daemon),
                "push, git alone": pulls(remote, directory),
                "poll": poll,
                "poll, git": git,
                "history": lambda: wall(NVICTL, "history", "-n", str(REVISIONS), "--netns", site.client.netns),
                "status": lambda: wall(NVICTL, "status", *netns),
                "an empty Python": lambda: wall(*PYTHON),
                "rest": lambda: resident(daemon.pid),
            }
            found: dict[str, list[float]] = {name: [] for name in steps}
            for number in range(rounds):
                for name in rotated(list(steps), number):
                    found[name].append(steps[name]())
    found["kept"] = [kept(directory / "kept")]
    return found


def rows(found: Mapping[str, list[float]]) -> Iterator[tuple[str, str, str, str]]:
    for name, values in found.items():
        told = summary(values)
        unit = "MiB" if name in MIB else "ms of CPU" if name.startswith("poll") else "ms"
        yield name, f"{told.median:.1f} {unit}", f"{told.low:.1f} to {told.high:.1f}", GOALS.get(name, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        os.environ[VARIABLE] = f"{directory}/state"
        print(f"{machine()}; {arguments.rounds} rounds\n", flush=True)
        found = measure(arguments.rounds, Path(directory))
        print(markdown(("what", "median", "quartiles", "goal"), list(rows(found))))


if __name__ == "__main__":
    main()
