"""`nvictl render`: what a spec means, as commands that a shell takes."""

from __future__ import annotations

import os
import sys

from nvi_operator.cli import options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_json


def run(context: Context) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.plan.compile import desired_state
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.topology.assume import assume_missing
    from nvi_operator.topology.facts import Facts
    from nvi_operator.topology.resolve import resolve
    from nvi_operator.view.plain import plain_object
    from nvi_operator.view.render import render_lines

    loaded = context.load()
    compiler = Compiler(loaded.name, loaded.spec)
    if context.hostname() != os.uname().nodename:  # nothing that is true of this machine says anything about that one
        facts = assume_missing(loaded.spec, Facts(context.hostname()))
    else:
        with Kernel(loaded.spec.numbers) as kernel:
            facts = assume_missing(loaded.spec, kernel.facts(compiler.wires, compiler.flow_cache))
    topology = resolve(loaded.name, loaded.spec, facts)
    desired = desired_state(topology)
    if context.arguments.output == "json":
        objects = [{"kind": ref.kind, "key": ref.key, "object": plain_object(ref.kind, obj)} for ref, obj in desired]
        print_json({"gateway": loaded.name, "notes": list(topology.notes), "objects": objects})
    else:
        sys.stdout.writelines(f"{line}\n" for line in render_lines(topology, desired, assumed=facts.assumed))
    return 0


COMMAND = Command(
    "render",
    "print what a spec means as a shell script: nft, ip, sysctl; needs no root",
    (options.spec, options.netns, options.output),
    run,
)
