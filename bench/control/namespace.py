"""Namespaces for one measurement each: two uplinks' worth of interfaces, and nothing else."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.control.inputs import HOST
from tests.lab import leftovers

PREFIX = f"nvibench{os.getpid()}."
_NUMBERS = itertools.count()


@contextmanager
def namespace() -> Iterator[str]:
    """Its name. What runs in it is ended with it."""
    name = f"{PREFIX}{next(_NUMBERS)}"
    with leftovers.undisturbed():
        subprocess.run(["ip", "netns", "add", name], check=True, process_group=0)
    try:
        subprocess.run(["ip", "-n", name, "-batch", "-"], input=HOST, text=True, check=True)
        yield name
    finally:
        leftovers.remove([name])


def sweep() -> None:
    """Remove what a benchmark left behind whose process is gone."""
    for name in leftovers.namespaces("nvibench"):
        number = name.removeprefix("nvibench").partition(".")[0]
        if number.isdigit() and not Path("/proc", number).exists():
            leftovers.remove([name])
