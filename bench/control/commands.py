"""What a command does: nft, ip, ferm, and nvictl itself. Imports nothing large: see `usage.peak_of_commands`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.control import usage
from bench.control.peers import ferm, iptables_save
from bench.control.trial import Given, Job, Meter, timed

_NVICTL = Path(sys.executable).with_name("nvictl")
REVISIONS = 1000
STATE = "state"  # directory of the records, in `Given.files`


# As an installation is: its bytecode is kept, which some environments of developers and CI forbid.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(*argv: str | Path, **environment: str) -> None:
    """Its output is discarded. CalledProcessError, with its stderr, if it fails."""
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, env=_ENVIRONMENT | environment)


def _job(*argv: str | Path) -> Job:
    """A command; a Path is that of a file or directory of `Given.files`."""

    @contextmanager
    def job(given: Given) -> Iterator[Meter]:
        words = [given.files / word if isinstance(word, Path) else word for word in argv]
        yield Meter(timed(lambda: run(*words)), usage.peak_of_commands)

    return job


load_nft = _job("nft", "-f", Path("table.nft"))
load_ferm = _job("perl", ferm() or "ferm", Path("gateway.ferm"))
nvictl_apply = _job(str(_NVICTL), "apply", "--quiet", Path("yaml"))
read_nft = _job("nft", "-j", "list", "table", "inet", "nvi")
rules_ip = _job("ip", "-batch", Path("rules.ip"))
routes_ip = _job("ip", "-batch", Path("routes.ip"))
read_rules_ip = _job("ip", "-j", "rule")
read_routes_ip = _job("ip", "-j", "route", "show", "table", "all")
python = _job(sys.executable, "-c", "pass")
nvictl_help = _job(str(_NVICTL), "--help")
nvictl_completion = _job(str(_NVICTL), "completion", "bash")
nvictl_validate = _job(str(_NVICTL), "validate", Path("yaml"))
nvictl_explain = _job(
    str(_NVICTL), "explain", "-i", "lan0", "--on", Path("yaml"), "tcp", "10.0.0.5:40000", "to", "192.0.2.1:443"
)
nvictl_plan = _job(str(_NVICTL), "plan", Path("yaml"))
nvictl_status = _job(str(_NVICTL), "status", Path("yaml"))


@contextmanager
def nvictl_apply_each_time(given: Given) -> Iterator[Meter]:
    """To a host that is no gateway, each time."""
    apply, down = ([_NVICTL, what, "--quiet", given.files / "yaml"] for what in ("apply", "down"))
    yield Meter(timed(lambda: run(*apply)), usage.peak_of_commands, prepare=lambda: run(*down))


@contextmanager
def nvictl_history(given: Given) -> Iterator[Meter]:
    """Of the revisions that `files.revisions` wrote."""
    argv = (_NVICTL, "history", "--last", str(REVISIONS))
    yield Meter(timed(lambda: run(*argv, STATE_DIRECTORY=str(given.files / STATE))), usage.peak_of_commands)


@contextmanager
def load_nft_each_time(given: Given) -> Iterator[Meter]:
    """Likewise."""

    def prepare() -> None:
        run("nft", "add table inet nvi; delete table inet nvi")

    yield Meter(timed(lambda: run("nft", "-f", given.files / "table.nft")), usage.peak_of_commands, prepare=prepare)


@contextmanager
def change_nft(given: Given) -> Iterator[Meter]:
    changes = iter(sorted(given.files.glob("change*.nft")))
    yield Meter(lambda: timed(lambda: run("nft", "-f", next(changes)))(), usage.peak_of_commands)


@contextmanager
def verify_ferm(given: Given) -> Iterator[Meter]:
    """AssertionError if there is not a rule for each forward."""

    def count() -> None:
        saved = subprocess.run([iptables_save(), "-t", "nat"], capture_output=True, text=True, check=True).stdout
        rules = saved.count("-A PREROUTING ")
        assert rules == given.size, f"ferm: {rules} rules for {given.size} forwards"

    yield Meter(timed(count))
