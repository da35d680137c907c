"""Questions at a terminal. Where none is there, a script has decided already, and nothing is asked."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.cycle import AnyKernel


def ask(arguments: Namespace, question: str) -> None:
    """Raises NviError unless the answer is yes."""
    from nvi_operator.errors import NviError

    if arguments.yes or not asks():
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NviError("not confirmed: nothing was changed", hint="--yes asks nothing")


def asks() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_about_flows(arguments: Namespace, kernel: AnyKernel, compiler: Compiler) -> None:
    """Where the spec ends live flows that lose their translation, and there are any. Raises NviError."""
    from nvi_operator.reconcile.cycle import dry_run
    from nvi_operator.reconcile.flows import with_stranded
    from nvi_operator.view.plan import stranded_lines
    from nvi_operator.view.progress import spinner

    if arguments.yes or not asks() or compiler.spec is None or compiler.spec.stranded_flows != "end":
        return
    with spinner("comparing with the kernel"):  # over before the question, which it would hide
        found = with_stranded(kernel, compiler, dry_run(kernel, compiler)).stranded
    if live := [each for each in found if each.live and each.flows]:
        print("\n".join(stranded_lines(live)), file=sys.stderr)
        ask(arguments, "End these flows?")
