"""What each command does: load, look, plan, print. A command returns its exit code."""

from __future__ import annotations

import json
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from nvi_operator.view.progress import working

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.language.load.loader import LoadedSpec
    from nvi_operator.language.model.gateway import GatewaySpec
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.plan.change import Plan
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.store.lock import GatewayLock


def run(arguments: Namespace) -> int:
    """Run the command named in `arguments`, in the network namespace named there."""
    command = _COMMANDS[arguments.command]
    if getattr(arguments, "netns", None) is not None:
        from nvi_operator.kernel.netns import enter

        enter(arguments.netns)
    return command(arguments)


# --------------------------------------------------------------------------- helpers


def _load(arguments: Namespace) -> LoadedSpec:
    with working(f"reading {arguments.spec}"):
        from nvi_operator.language.load.loader import load_directory

        return load_directory(arguments.spec, hostname=socket.gethostname(), gateway=arguments.gateway)


def console() -> Console:
    from rich.console import Console

    # What is printed has addresses and names in brackets, which rich would take for its own markup.
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def _show(arguments: Namespace, data: Callable[[], Any], text: Callable[[], RenderableType]) -> None:
    if arguments.output == "json":
        json.dump(data(), sys.stdout, indent=2)
        print()
    else:
        console().print(text())


def _show_pieces(arguments: Namespace, data: Callable[[], Any], pieces: Iterable[Text]) -> None:
    if arguments.output == "json":
        _show(arguments, data, lambda: "")
        return
    screen = console()
    for piece in pieces:
        screen.print(piece, end="")
    print()


def _show_plan(arguments: Namespace, name: str, seen: Plan, last: Callable[[Plan], str]) -> None:
    from nvi_operator.view.plan import plan_json, plan_pieces

    _show_pieces(arguments, lambda: plan_json(name, seen), plan_pieces(seen, full=arguments.full, last=last))


def _show_done(arguments: Namespace, name: str, done: Plan, last: Callable[[Plan], str]) -> None:
    """After the fact it is the summary and the notes that matter: a first apply is 200 lines."""
    from nvi_operator.view.plan import brief_pieces, plan_json

    if arguments.full:
        _show_plan(arguments, name, done, last)
    else:
        _show_pieces(arguments, lambda: plan_json(name, done), brief_pieces(done, last=last))


def _gateway(arguments: Namespace) -> tuple[Compiler, Numbers]:
    """The gateway that the spec says; without a spec, the one that is not to be."""
    from nvi_operator.language.model.settings import Numbers
    from nvi_operator.reconcile.compiler import Compiler

    if arguments.spec is None:
        return Compiler("", None), Numbers()
    loaded = _load(arguments)
    return Compiler(loaded.name, loaded.spec), loaded.spec.numbers


def _preview(arguments: Namespace) -> tuple[str, Plan]:
    """The gateway's name, and what an apply would do."""
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.cycle import preview

    gateway, numbers = _gateway(arguments)
    with working("comparing with the kernel"), Kernel(numbers) as kernel:
        seen = preview(kernel, gateway)
        _warn(kernel)
        return gateway.name, seen


def _warn(kernel: Kernel) -> None:
    for text in kernel.warnings:
        print(f"warning: {text}", file=sys.stderr)


def _notes(plan: Plan) -> None:
    for note in plan.topology.notes if plan.topology else ():
        print(f"note: {note}", file=sys.stderr)


# --------------------------------------------------------------------------- commands


def _validate(arguments: Namespace) -> int:
    loaded = _load(arguments)
    if arguments.output == "json":
        print(json.dumps({"gateway": loaded.name, "files": list(loaded.files), **loaded.counts}, indent=2))
    else:
        print(f"gateway {loaded.name}: valid: {loaded.counts_text}")
    return 0


def _render(arguments: Namespace) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.plan.compile import desired_state
    from nvi_operator.topology.assume import assume_missing
    from nvi_operator.topology.resolve import resolve
    from nvi_operator.view.plain import plain_object
    from nvi_operator.view.render import render_lines

    loaded = _load(arguments)
    with Kernel(loaded.spec.numbers) as kernel:
        facts = assume_missing(loaded.spec, kernel.facts(loaded.spec.wires))
    topology = resolve(loaded.name, loaded.spec, facts)
    desired = desired_state(topology)
    if arguments.output == "json":
        objects = [{"kind": ref.kind, "key": ref.key, "object": plain_object(ref.kind, obj)} for ref, obj in desired]
        print(json.dumps({"gateway": loaded.name, "notes": list(topology.notes), "objects": objects}, indent=2))
    else:
        sys.stdout.writelines(f"{line}\n" for line in render_lines(topology, desired, assumed=facts.assumed))
    return 0


def _plan(arguments: Namespace) -> int:
    from nvi_operator.view.plan import summary

    name, plan = _preview(arguments)
    _notes(plan)
    _show_plan(arguments, name, plan, summary)
    return 2 if plan and arguments.detailed_exitcode else 0


def _diff(arguments: Namespace) -> int:
    from nvi_operator.view.plan import summary

    name, plan = _preview(arguments)
    _show_plan(arguments, name, plan, summary)
    return 1 if plan else 0


def _drift(arguments: Namespace) -> int:
    from nvi_operator.view.drift import drift_json, drift_pieces

    name, plan = _preview(arguments)
    _show_pieces(arguments, lambda: drift_json(name, plan), drift_pieces(plan, full=arguments.full))
    return 1 if plan else 0


def _look_around(spec: GatewaySpec, *, force: bool) -> None:
    """Say what `doctor` would call a problem; refuse where our bits of the mark are taken."""
    from nvi_operator.kernel.inspect.survey import take_survey
    from nvi_operator.reconcile.precheck import problems, refuse_collisions

    found = problems(take_survey(spec, try_binding=False), spec)
    if not force:
        refuse_collisions(found)
    for finding in found:
        print(f"warning: {finding.topic}: {finding.what} (see nvictl doctor)", file=sys.stderr)


def _lock(arguments: Namespace, *, alone: bool = False) -> GatewayLock:
    """The lock of this network namespace's gateway, for this command. Close it."""
    from nvi_operator.kernel.netns import cookie
    from nvi_operator.store.lock import GatewayLock

    command = " ".join(["nvictl", arguments.command, *([str(arguments.spec)] if arguments.spec else [])])
    return GatewayLock(
        cookie(), command, wait=arguments.wait, alone=alone, say=lambda text: print(text, file=sys.stderr, flush=True)
    )


def _name_instance(lock: GatewayLock) -> None:
    from nvi_operator.errors import CapabilityError

    with suppress(CapabilityError):  # without rights nothing is changed anyway
        if found := lock.instance():
            print(f"warning: {found} is running: it restores what its own spec says", file=sys.stderr)


def _apply(arguments: Namespace) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.cycle import reconcile
    from nvi_operator.view.plan import applied

    loaded = _load(arguments)
    with closing(_lock(arguments)) as lock:
        _name_instance(lock)
        _look_around(loaded.spec, force=arguments.force)
        with working("applying and verifying"), Kernel(loaded.spec.numbers, lock=lock) as kernel:
            done = reconcile(kernel, Compiler(loaded.name, loaded.spec)).plan
            _warn(kernel)
    if arguments.output == "json" or not arguments.quiet:
        _notes(done)
        _show_done(arguments, loaded.name, done, applied)
    return 0


def _down(arguments: Namespace) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.compiler import Compiler
    from nvi_operator.reconcile.cycle import reconcile
    from nvi_operator.view.plan import taken_away

    gateway, numbers = _gateway(arguments)
    with (
        closing(_lock(arguments, alone=True)) as lock,
        working("taking everything away"),
        Kernel(numbers, lock=lock) as kernel,
    ):
        done = reconcile(kernel, Compiler(gateway.name, None)).plan
        _warn(kernel)
    if arguments.output == "json" or not arguments.quiet:
        _show_done(arguments, gateway.name, done, taken_away)
    return 0


def _status(arguments: Namespace) -> int:
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.cycle import preview
    from nvi_operator.topology.faults import faults
    from nvi_operator.view.status import is_working, status_json, status_text

    gateway, numbers = _gateway(arguments)
    with working("comparing with the kernel"), Kernel(numbers) as kernel:
        seen = preview(kernel, gateway)
        _warn(kernel)
        counters = kernel.counters(seen.before)
    found = faults(gateway.spec, seen.topology) if gateway.spec and seen.topology else ()
    _show(
        arguments,
        lambda: status_json(gateway.name, seen, counters, found),
        lambda: status_text(gateway.name, seen, counters, found),
    )
    return 0 if is_working(seen, found) else 1


def _run(arguments: Namespace) -> int:
    from nvi_operator.daemon.service import run_daemon

    return run_daemon(
        arguments.spec, gateway=arguments.gateway, rescan_seconds=arguments.rescan, force=arguments.force
    )


def _doctor(arguments: Namespace) -> int:
    from nvi_operator.doctor import diagnose
    from nvi_operator.kernel.inspect.survey import take_survey
    from nvi_operator.view.doctor import exit_code, render, to_json

    spec = _load(arguments).spec if arguments.spec else None
    findings = diagnose(take_survey(spec), spec)
    _show(arguments, lambda: to_json(findings), lambda: render(findings))
    return exit_code(findings)


def _module(arguments: Namespace) -> int:
    from nvi_operator.cli.module import run_module

    return run_module(arguments)


def _schema(arguments: Namespace) -> int:
    from nvi_operator.language.schema import schema_text

    sys.stdout.write(schema_text())
    return 0


_COMMANDS: Mapping[str, Callable[[Namespace], int]] = {
    "validate": _validate,
    "render": _render,
    "plan": _plan,
    "diff": _diff,
    "apply": _apply,
    "status": _status,
    "drift": _drift,
    "run": _run,
    "down": _down,
    "doctor": _doctor,
    "module": _module,
    "schema": _schema,
}
