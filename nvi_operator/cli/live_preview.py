"""`nvictl preview --live`: what this host knows of a gateway that is on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.cli.output import tell

if TYPE_CHECKING:
    from nvi_operator.language.model.gateway import GatewaySpec
    from nvi_operator.preview.model import Preview
    from nvi_operator.topology.facts import Facts


def facts_here(spec: GatewaySpec) -> Facts:
    """The facts of this host where it has all interfaces of the gateway; of another host nothing is known."""
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.topology.assume import named_interfaces
    from nvi_operator.topology.facts import Facts

    with Kernel(spec.numbers) as kernel:
        facts = kernel.facts(spec.wires)
    return facts if named_interfaces(spec) <= facts.links.keys() else Facts("")


def with_flows_here(preview: Preview) -> Preview:
    """The preview, with the live flows that each change strands on this host."""
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.flows import with_stranded

    changes = []
    for change in preview.changes:
        if change.plan.topology is not None and facts_here(change.spec).links:
            with Kernel(change.spec.numbers) as kernel:
                plan = with_stranded(kernel, Compiler(change.name, change.spec), change.plan)
            change = replace(change, plan=plan)
        else:
            tell(f"{change.name}: its interfaces are not on this host: no flows were counted")
        changes.append(change)
    return replace(preview, changes=tuple(changes))
