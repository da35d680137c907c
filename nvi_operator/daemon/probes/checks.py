"""Asks what a spec's `checks` say, once and to the end. Waits for the answers, so that only a change may call it.

The questions are those of `targets.py`. A network namespace is entered for the moment in which a socket is made.
"""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from nvi_operator.daemon.probes.prober import way_of
from nvi_operator.daemon.probes.targets import ProbeTarget, Stream, target
from nvi_operator.daemon.probes.way import ProbePath
from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError
from nvi_operator.kernel.netns import entered
from nvi_operator.language.model.checks import Check
from nvi_operator.topology.model import Topology

PROGRAMS = Path("/etc/nvi-operator/checks")
_AGAIN = 1.0  # seconds from one question to the next
_LOOK = 0.02
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_LONGEST = 200  # characters of what a program says


@dataclass
class _Asked:
    check: Check
    target: ProbeTarget
    deadline: float
    again: float = 0.0


def failing(checks: Mapping[str, Check], topology: Topology | None, programs: Path = PROGRAMS) -> dict[str, str]:
    """The checks that do not work, and why. `topology` says where uplinks lead."""
    found: dict[str, str] = {}
    with select.epoll() as epoll:
        asked: dict[str, _Asked] = {}
        for name, check in checks.items():
            if check.command is None:
                way = _way(check, topology)
                if isinstance(way, str):
                    found[name] = way
                else:
                    asked[name] = _Asked(check, target(check, way, epoll), time.monotonic() + check.within)
        _ask(asked, epoll, found)
    for name, check in checks.items():
        if check.command is not None and (why := _run(check, programs)):
            found[name] = why
    return {name: found[name] for name in checks if name in found}


def _way(check: Check, topology: Topology | None) -> ProbePath | str:
    """How it asks; or why it cannot."""
    if check.uplink is None:
        return ProbePath(None, 0, str(check.from_) if check.from_ else None)
    uplink = next((uplink for uplink in topology.uplinks if uplink.name == check.uplink), None) if topology else None
    way = way_of(uplink, 4 if check.address.version == 4 else 6) if uplink else None
    return way or f"uplink {check.uplink} has no way out now"


def _ask(asked: dict[str, _Asked], epoll: select.epoll, found: dict[str, str]) -> None:
    """Until each has answered, or its time is over."""
    try:
        while asked:
            for name, each in list(asked.items()):
                now = time.monotonic()
                if each.target.answer() is not None:
                    del asked[name]
                    each.target.close()
                elif now >= each.deadline:
                    found[name] = each.target.why or f"no answer within {each.check.within:g} s"
                    del asked[name]
                    each.target.close()
                elif now >= each.again:
                    each.again = now + _AGAIN
                    try:
                        with entered(each.check.netns):
                            each.target.ask()
                    except NviError as error:
                        each.target.why = error.message
            streams = {
                each.target.fileno(): each.target for each in asked.values() if isinstance(each.target, Stream)
            }
            for number, _ in epoll.poll(_LOOK):
                if stream := streams.get(number):
                    stream.progress()
    finally:
        for each in asked.values():
            each.target.close()


def _run(check: Check, programs: Path) -> str:
    """Why it failed; empty if it did not."""
    assert check.command is not None
    name, *arguments = check.command
    command = [str(programs / name), *arguments]
    try:
        with entered(check.netns):  # `ip netns exec` makes a mount namespace too, which a confined service may not
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=check.within,
                env=_ENVIRONMENT,
                cwd="/",
                check=False,
            )
    except NviError as error:
        return error.message
    except subprocess.TimeoutExpired:
        return f"not done within {check.within:g} s"
    except OSError as error:
        return f"{programs / name}: {error.strerror or error}"
    output = (done.stderr or done.stdout).decode(errors="replace").strip().partition("\n")[0][:_LONGEST]
    return "" if done.returncode == 0 else f"exit code {done.returncode}" + (f": {output}" if output else "")
