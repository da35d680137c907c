"""What a command does: nft, ip, ferm, and nvictl itself. Imports nothing large: see `peak.of_commands`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.control import peak
from bench.control.trial import Given, Meter, timed

NVICTL = (sys.executable, "-m", "nvi_operator")


def command(*argv: str | Path) -> None:
    """Its output is thrown away. CalledProcessError with what it said on stderr, if it fails."""
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)


def metered(*argv: str | Path) -> Meter:
    return Meter(timed(lambda: command(*argv)), peak.of_commands)


@contextmanager
def load_nft(given: Given) -> Iterator[Meter]:
    yield metered("nft", "-f", given.files / "table.nft")
