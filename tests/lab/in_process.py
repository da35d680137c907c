"""`nvictl run` in this process and without its loop, so that a test says when it reconciles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from nvi_operator.daemon.invalidation import Invalidation
from nvi_operator.daemon.judge import DirectorySource, Judge
from nvi_operator.daemon.probes.prober import Prober
from nvi_operator.daemon.recording import Recording
from nvi_operator.daemon.service import Daemon
from nvi_operator.history.decisions import DecisionsFile
from nvi_operator.history.store import History
from nvi_operator.kernel.cached import CachedKernel
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netlink.flow_changes import FlowReports
from nvi_operator.rollout.lockout import LockOut
from nvi_operator.ruleset.table import TABLE
from nvi_operator.sources.directory import SpecDirectory


class InProcess(NamedTuple):
    """What `nvictl run` is made of, but for its loop and its lock."""

    daemon: Daemon
    directory: SpecDirectory
    events: KernelEvents
    prober: Prober


@contextmanager
def in_process(spec: Path, state: Path, gateway: str | None = None) -> Iterator[InProcess]:
    """In the network namespace of this process. `state` stands for /var/lib/nvi-operator; `gateway` is a name."""
    with (
        KernelEvents([TABLE]) as events,
        CachedKernel(events) as kernel,
        Invalidation(kernel.generations, lambda: FlowReports(events)) as invalidation,
        closing(Prober()) as prober,
        History(state) as revisions,
    ):
        directory = SpecDirectory(spec, gateway)
        judge = Judge(
            DecisionsFile(state, keeps_on=True),
            revisions,
            spec,
            nullcontext,
            lambda event: None,
            None,
            gateway=lambda: daemon,
            source=DirectorySource(),
        )
        daemon = Daemon(
            directory,
            kernel,
            prober,
            force=False,
            invalidation=invalidation,
            recording=Recording(revisions, spec, lambda text: None),
            judge=judge,
            lock_out=LockOut((), None, lambda text: None),
            checks={},
        )
        yield InProcess(daemon, directory, events, prober)
