"""`nvictl doctor`: can this machine be a gateway?"""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show


def run(context: Context) -> int:
    from nvi_operator.doctor.diagnosis import diagnose
    from nvi_operator.kernel.inspect.survey import take_survey
    from nvi_operator.view.doctor import exit_code, render, to_json

    spec = context.load().spec if context.arguments.spec else None
    findings = diagnose(take_survey(spec), spec)
    show(context.arguments, lambda: to_json(findings), lambda width: render(findings, width))
    return exit_code(findings)


COMMAND = Command(
    "doctor",
    "show what this machine can do, and what on it would break the gateway",
    (options.optional_spec("left out: only what holds for any gateway"), options.netns, options.output),
    run,
    Exits("0 no problem, 1 a problem, or an error"),
)
