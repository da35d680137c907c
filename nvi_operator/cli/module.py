"""`nvictl module`: what each action does."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping


def run_module(arguments: Namespace) -> int:
    return _ACTIONS[arguments.action](arguments)


def _status(arguments: Namespace) -> int:
    from nvi_operator.cli.commands import console
    from nvi_operator.kernel.module.survey import survey_module
    from nvi_operator.topology.module import judge
    from nvi_operator.view.module import module_json, module_text

    facts = survey_module()
    verdict = judge(facts)
    if arguments.output == "json":
        print(json.dumps(module_json(facts, verdict), indent=2))
    else:
        console().print(module_text(facts, verdict))
    return 0 if verdict.usable else 1


_ACTIONS: Mapping[str, Callable[[Namespace], int]] = {"status": _status}
