"""The reconciler, in the process of a test."""

from __future__ import annotations

from collections.abc import Callable

from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netns import entered
from nvi_operator.language.load.loader import load_texts
from nvi_operator.plan.change import Change
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run, reconcile
from tests.lab import Site
from tests.netns.scenarios import spec

Step = Callable[[Change], None]


class Operator:
    """The reconciler, in this process, in the gateway's namespace: so that a test can stop it anywhere."""

    def __init__(self, site: Site) -> None:
        self.netns = site.gateway.netns

    def apply(self, text: str | None, on_step: Step = lambda change: None) -> int:
        loaded = load_texts({"gateway.yaml": (text or spec()).encode()})
        gateway = Compiler(loaded.name, loaded.spec if text else None)
        with entered(self.netns), Kernel(loaded.spec.numbers) as kernel:
            done = reconcile(kernel, gateway, on_step=on_step)
            assert not dry_run(kernel, gateway)
            return len(done.plan.steps)
