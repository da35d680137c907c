"""`nvictl run`: the daemon's reconcile in this process, and the daemon itself, watched from outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyroute2 import IPRoute

from bench.control import inputs, ours, usage
from bench.control.commands import run
from bench.control.inputs import GATEWAY, LAN, UPLINK_ROUTER, Entry
from bench.control.listener import ELEMENTS, ROUTES, RULES, Listener, Reports
from bench.control.trial import Given, Meter, timed
from nvi_operator.daemon.trigger import Trigger
from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.language.model.settings import Numbers
from nvi_operator.reconcile.outcome import Reason
from nvi_operator.ruleset.table import TABLE
from nvi_operator.topology.numbers import uplink_table
from tests.lab.in_process import in_process

_NVICTL = Path(sys.executable).with_name("nvictl")
_STARTING, _ENDING = 120.0, 60.0  # seconds
_CALM = 0.5  # seconds between two samples: the daemon is through with the last
_SETTLED = 3.0  # seconds until the kernel has done with the addresses of a new namespace (DAD)

Loss = tuple[bytes, Callable[[], object]]  # what reports about an object have in them, and how it is deleted


# --------------------------------------------------------------------------- its reconcile


@contextmanager
def _reconciles(given: Given, reason: Reason) -> Iterator[Meter]:
    with TemporaryDirectory() as state, in_process(given.files / "yaml", Path(state), GATEWAY) as (daemon, *_):

        def work() -> None:
            done = daemon.reconcile(Trigger(frozenset({reason})))
            assert not done.failed, f"the reconcile failed: {done.errors[-1]}"
            assert not done.plan, f"there was something to do: {done.plan.names}"

        daemon.reconcile(Trigger(frozenset({Reason.START})))
        yield Meter(timed(work))


@contextmanager
def idle(given: Given) -> Iterator[Meter]:
    """Something foreign was reported."""
    with _reconciles(given, Reason.KERNEL) as meter:
        yield meter


@contextmanager
def verify(given: Given) -> Iterator[Meter]:
    """The timer: look at everything."""
    with _reconciles(given, Reason.TIMER) as meter:
        yield meter


@contextmanager
def idle_table(given: Given) -> Iterator[Meter]:
    """What of it is nftables: seen, and compared."""
    loaded = ours.load(given.files / "yaml")
    expected = ours.desired(loaded, ours.facts_for(loaded))
    with NftTableDriver(TABLE, remember=True) as table:
        ours.seen(table, expected)
        yield Meter(timed(lambda: ours.seen(table, expected)))


# --------------------------------------------------------------------------- from outside


@contextmanager
def _running(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in this namespace, in sync."""
    with TemporaryDirectory(prefix="nvibench-") as scratch:
        log = Path(scratch, "log")
        with log.open("wb") as file:
            daemon = subprocess.Popen(
                [_NVICTL, "run", directory, "--gateway", GATEWAY], stdout=file, stderr=subprocess.STDOUT
            )
        try:
            _until(lambda: "in sync" in log.read_text(encoding="utf-8"), daemon)
            time.sleep(_SETTLED)
            yield daemon
        finally:
            daemon.terminate()
            daemon.wait(_ENDING)


def _until(happened: Callable[[], bool], daemon: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTING
    while not happened():
        assert daemon.poll() is None, f"nvictl run ended with {daemon.returncode}"
        assert time.monotonic() < deadline, f"nvictl run: not in sync after {_STARTING:g} s"
        time.sleep(0.02)


def _server(entry: Entry) -> bytes:
    """As an element of a map holds it: address and port."""
    return socket.inet_aton(entry.server) + entry.server_port.to_bytes(2, "big")


@contextmanager
def status(given: Given) -> Iterator[Meter]:
    """The command, which asks the daemon."""
    with _running(given.files / "yaml"):
        yield Meter(timed(lambda: run(_NVICTL, "status")), usage.peak_of_commands)


@contextmanager
def edit_yaml(given: Given) -> Iterator[Meter]:
    with _edits(given, "yaml", "gateway.yaml", inputs.yaml) as meter:
        yield meter


@contextmanager
def edit_csv(given: Given) -> Iterator[Meter]:
    with _edits(given, "csv", "forwards.csv", inputs.csv) as meter:
        yield meter


@contextmanager
def _edits(given: Given, form: str, file: str, text: Callable[[Iterable[Entry]], str]) -> Iterator[Meter]:
    """The file is written beside, and takes the other's name: as editors do it. The clock runs from the rename."""
    number, expected = 0, b""
    with TemporaryDirectory(prefix="nvibench-") as scratch:
        directory = shutil.copytree(given.files / form, Path(scratch, form))
        written = directory / f"{file}.new"
        with _running(directory) as daemon, Listener() as listener:

            def prepare() -> None:
                nonlocal number, expected
                number += 1
                expected = _server(inputs.edited(given.size, number))
                with written.open("w", encoding="utf-8") as opened:
                    opened.write(text(inputs.with_edit(given.size, number)))
                    opened.flush()
                    os.fsync(opened)  # else some filesystems write it when it is renamed
                time.sleep(_CALM)
                listener.skip()

            def run() -> float:
                started = time.perf_counter()
                written.rename(directory / file)
                return listener.comes(expected) - started

            yield Meter(run, lambda: _peak(daemon), lambda: usage.cpu(daemon.pid), prepare)


def _peak(daemon: subprocess.Popen[bytes]) -> int:
    """Peak of the daemon and its worker; or of a command that it called, if that was larger."""
    together = usage.peak(daemon.pid)
    daemon.terminate()
    daemon.wait(_ENDING)
    return max(together, usage.peak_of_commands())


@contextmanager
def heal(given: Given) -> Iterator[Meter]:
    """An element, deleted by a program that stays. When the nft command ends, the kernel waits with nftables locked
    for a grace period (10 to 20 ms) as it closes the socket: nf_tables_trans_destroy_flush_work() in
    nft_rcv_nl_event().
    """
    import nftables

    other = nftables.Nftables()
    entry = inputs.edited(given.size, 0)

    def find() -> Loss:
        key = f"{entry.public} . tcp . {entry.port}"
        command = f"delete element inet {TABLE} {ours.map_of(entry)} {{ {key} }}"
        return _server(entry), lambda: other.cmd(command)

    with _heals(given, ELEMENTS, find) as meter:
        yield meter


@contextmanager
def heal_rule(given: Given) -> Iterator[Meter]:
    """The rule that leads the inside interface's packets into the device."""
    with IPRoute() as ip:

        def find() -> Loss:
            rules = ip.get_rules(family=socket.AF_INET, match=lambda rule: rule.get("iifname") == LAN)
            priority = rules[0].get("priority")
            words = {"priority": priority, "iifname": LAN, "family": socket.AF_INET}
            return priority.to_bytes(4, sys.byteorder), lambda: ip.rule("del", **words)

        with _heals(given, RULES, find) as meter:
            yield meter


@contextmanager
def heal_route(given: Given) -> Iterator[Meter]:
    """The default route of the uplink's table."""
    with IPRoute() as ip:

        def find() -> Loss:
            table = uplink_table(Numbers().table, 1)
            route = {"dst": "0.0.0.0/0", "gateway": UPLINK_ROUTER, "table": table}
            return socket.inet_aton(UPLINK_ROUTER), lambda: ip.route("del", **route)

        with _heals(given, ROUTES, find) as meter:
            yield meter


@contextmanager
def _heals(given: Given, reports: Reports, find: Callable[[], Loss]) -> Iterator[Meter]:
    """From the kernel's report that the object is gone to its report that it is there. `find` looks at a gateway."""
    with _running(given.files / "yaml") as daemon, Listener(reports) as listener, ThreadPoolExecutor(1) as vandal:
        value, delete = find()

        def prepare() -> None:
            time.sleep(_CALM)
            listener.skip()

        def run() -> float:
            deleted = vandal.submit(delete)
            gone = listener.goes(value)
            healed = listener.comes(value)
            deleted.result()
            return healed - gone

        yield Meter(run, lambda: _peak(daemon), lambda: usage.cpu(daemon.pid), prepare)
