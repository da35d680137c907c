"""`nvictl apply`: one reconcile."""

from __future__ import annotations

from nvi_operator.cli import options
from nvi_operator.cli.apply_options import APPLY
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    from nvi_operator.cli.applying import apply
    from nvi_operator.rollout.content import content_of

    if not context.arguments.spec.is_dir():
        from nvi_operator.rollout.saved_plan import is_saved_plan

        if is_saved_plan(context.arguments.spec):
            return _saved(context)
    loaded = context.load()
    return apply(context, loaded, content_of(loaded, context.arguments.spec))


def _saved(context: Context) -> int:
    """Apply a file that `nvictl plan --out` wrote."""
    from pathlib import Path

    from nvi_operator import __version__
    from nvi_operator.cli.applying import apply
    from nvi_operator.cli.output import tell
    from nvi_operator.rollout.content import content_of, host_of, loaded_from
    from nvi_operator.rollout.saved_plan import read

    arguments = context.arguments
    path, saved = arguments.spec, read(arguments.spec)
    saved.refuse_other_place()
    if saved.made_by:
        tell(f"{path}: nvictl {saved.made_by} made it, and this is {__version__}: applied if the steps are the same")
    arguments.spec, arguments.gateway = Path(saved.root), saved.content.gateway
    arguments.host = host_of(saved.content) or arguments.host
    now = content_of(context.load(), arguments.spec) if arguments.spec.exists() else None
    saved.refuse_other_spec(now)
    arguments.spec = path
    return apply(context, loaded_from(saved.content, str(path)), saved.content, saved=saved)


COMMAND = Command(
    "apply",
    "apply the spec, verify, roll back on failure",
    (options.spec, *APPLY),
    run,
)
