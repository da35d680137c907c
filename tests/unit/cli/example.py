"""The gateway of an example, on a fake kernel; and `nvictl` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nvi_operator.cli import commands
from nvi_operator.language.load.loader import load_directory
from nvi_operator.plan.compile import desired_state
from nvi_operator.state.host import HostState
from nvi_operator.testing import FakeKernel
from nvi_operator.topology.resolve import resolve
from tests.lab import command as forked

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "dual-wan"
VERBS = tuple(commands.NAMES)


def nvictl(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    if not environment:
        return forked.nvictl(list(map(str, arguments)), timeout=60)
    return subprocess.run(
        [sys.executable, "-m", "nvi_operator", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
        env={**os.environ, **environment},
    )


class Handle(FakeKernel):
    """A fake kernel where commands look for the real one."""

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        return {"nft table inet nvi": {"stage_1": 5}} if live.objects else {}


def up(kernel: Handle) -> None:
    loaded = load_directory(EXAMPLE)
    kernel.objects = dict(desired_state(resolve(loaded.name, loaded.spec, kernel.facts())).objects)


def drifted(kernel: Handle) -> None:
    up(kernel)
    kernel.drop([next(ref for ref, _ in kernel.state if ref.kind == "route")])
