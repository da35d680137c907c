from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Site
from tests.lab.daemon import Daemon
from tests.lab.probe import Prober
from tests.netns.nft_place import Place
from tests.netns.scenarios import spec


@pytest.fixture
def name() -> Iterator[str]:
    """A network namespace of its own, with nothing in it."""
    made = f"nvi-test-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", made], check=True)
    yield made
    subprocess.run(["ip", "netns", "del", made], check=True)


@pytest.fixture
def place(name: str) -> Iterator[Place]:
    made = Place(name)
    yield made
    made.driver.close()


@pytest.fixture
def prober(site: Site) -> Iterator[Prober]:
    made = Prober(site)
    yield made
    made.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """With one file, the spec that most scenarios begin with."""
    made = tmp_path / "spec"
    made.mkdir()
    (made / "gateway.yaml").write_text(spec())
    return made


@pytest.fixture
def start(site: Site, directory: Path, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts `nvictl run` on the directory, with options. It is killed when the test ends."""
    started: list[Daemon] = []

    def begin(*options: str) -> Daemon:
        started.append(Daemon(site.gateway, directory, tmp_path / f"log{len(started)}", *options))
        return started[-1]

    yield begin
    for daemon in started:
        daemon.stop(signal.SIGKILL)
