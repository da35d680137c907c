"""What the server of `command` has ready before it forks: the modules of nvictl, and what they work out once.

A command imports what it needs, and compiles patterns when it first uses them. With a small spec that is most of its
time, and the same each time.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil

import nvi_operator
from nvi_operator.language.load.loader import load_directory
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import reconcile
from nvi_operator.testing import FakeKernel
from tests.lab.command import ROOT, without_disk

without_disk()
for found in pkgutil.walk_packages(nvi_operator.__path__, "nvi_operator."):
    if not found.name.endswith(("__main__", "nft_worker")):
        importlib.import_module(found.name)
importlib.import_module("pyroute2")  # which only what changes links imports, in 0.2 s

example = load_directory(ROOT / "examples/dual-wan")
reconcile(FakeKernel.for_spec(example.spec), Compiler(example.name, example.spec))
gc.freeze()  # else a child's collection would copy what it shares
