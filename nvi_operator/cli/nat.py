"""`nvictl show nat`: what the gateway translates now."""

from __future__ import annotations

import argparse
import re
from argparse import ArgumentParser
from heapq import nlargest
from itertools import islice
from pathlib import Path

from nvi_operator.cli import options
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show

WHAT = {
    "rules": "new flows by rule",
    "forwards": "flows by forward, of the busiest ones",
    "translations": "translated flows, before and after",
    "pools": "how full the ports of addresses are",
}


def run(context: Context) -> int:
    if context.arguments.what is None:
        from nvi_operator.errors import NviError

        listed = (f"\n    nvictl show nat {what:13} {meaning}" for what, meaning in WHAT.items())
        raise NviError("show nat: nothing says what to show", hint=f"there are{''.join(listed)}")
    shown = {"rules": _rules, "forwards": _forwards, "translations": _translations, "pools": _pools}
    return shown[context.arguments.what](context)


def _rules(context: Context) -> int:
    from nvi_operator.cli.commands.status import look
    from nvi_operator.view.nat import rules_text

    rules = look(context)["rules"]
    show(context.arguments, lambda: {"rules": rules}, lambda width: rules_text(rules, width))
    return 0


def _forwards(context: Context) -> int:
    from nvi_operator.errors import NviError
    from nvi_operator.kernel.inspect.translations import FlowFilter, translations
    from nvi_operator.kernel.kernel import Kernel
    from nvi_operator.reconcile.cycle import dry_run
    from nvi_operator.topology.forward_use import forward_uses
    from nvi_operator.view.nat import forwards_json, forwards_text

    arguments = context.arguments
    if arguments.spec is None and (daemon := context.daemon()) is not None:
        with daemon:
            arguments.spec = Path(daemon.ask("hello")["spec"])
    if arguments.spec is None:
        raise NviError(
            "forwards: no DIR was given, and no nvictl run is running here", hint="name the directory of the spec"
        )
    compiler, numbers = context.compiler()
    with Kernel(numbers) as kernel:
        kernel.health = context.health(compiler.spec)
        plan = dry_run(kernel, compiler)
        groups = kernel.counters(plan.before)
    counts = {name: count for counters in groups.values() for name, count in counters.items()}
    uses = list(forward_uses(plan.topology, translations(FlowFilter(sources=False)), counts)) if plan.topology else []
    busiest = nlargest(arguments.top, uses, key=lambda use: use.flows)
    show(arguments, lambda: forwards_json(busiest, len(uses)), lambda width: forwards_text(busiest, len(uses), width))
    return 0


def _translations(context: Context) -> int:
    from nvi_operator.kernel.inspect.translations import FlowFilter, translations
    from nvi_operator.view.nat import translations_json, translations_text

    arguments = context.arguments
    found = translations(FlowFilter(address=arguments.address, zone=arguments.zone, mark=arguments.mark))
    first = list(islice(found, arguments.top))
    total = len(first) + sum(1 for _ in found)
    show(arguments, lambda: translations_json(first, total), lambda width: translations_text(first, total, width))
    return 0


def _pools(context: Context) -> int:
    from nvi_operator.kernel.inspect.translations import FlowFilter, translations
    from nvi_operator.state.translation import pool_uses
    from nvi_operator.view.nat import pools_json, pools_text

    arguments = context.arguments
    uses = list(
        pool_uses(translations(FlowFilter(destinations=False, address=arguments.address, zone=arguments.zone)))
    )
    shown = uses[: arguments.top]
    show(arguments, lambda: pools_json(shown), lambda width: pools_text(shown, width))
    return 0


def what(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",  # so that the list of them is what a person reads who leaves it out
        choices=list(WHAT),
        help="; ".join(f"{what}: {meaning}" for what, meaning in WHAT.items()),
    )
    options.optional_spec("left out: what a running nvictl run follows")(parser)
    parser.add_argument("--top", metavar="N", type=options.count, default=20, help="at most so many (default: 20)")
    parser.add_argument("--address", metavar="ADDRESS", type=_address, help="only flows with it, before or after NAT")
    parser.add_argument("--zone", metavar="NUMBER", type=options.count, help="only flows of this conntrack zone")
    parser.add_argument("--mark", metavar="VALUE[/MASK]", type=_mark, help="only flows with this conntrack mark")


def _address(text: str) -> object:
    from ipaddress import ip_address

    return options.checked(ip_address, text)


def _mark(text: str) -> tuple[int, int]:
    parts = re.fullmatch(r"(0x[0-9a-f]+|\d+)(?:/(0x[0-9a-f]+|\d+))?", text, re.IGNORECASE)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a mark: write 0x100/0xff00")
    value, mask = int(parts[1], 0), int(parts[2], 0) if parts[2] else 0xFFFFFFFF
    if value > 0xFFFFFFFF or mask > 0xFFFFFFFF:
        raise argparse.ArgumentTypeError(f"{text!r}: a mark has 32 bits")
    return value, mask
