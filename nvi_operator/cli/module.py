"""`nvictl module`: what each action does."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path


def run_module(arguments: Namespace) -> int:
    return _ACTIONS[arguments.action](arguments)


def _status(arguments: Namespace) -> int:
    from nvi_operator.cli.commands import console
    from nvi_operator.kernel.kmod.survey import survey_module
    from nvi_operator.kmod.verdict import judge
    from nvi_operator.view.module import module_json, module_text

    facts = survey_module()
    verdict = judge(facts)
    if arguments.output == "json":
        print(json.dumps(module_json(facts, verdict), indent=2))
    else:
        console().print(module_text(facts, verdict))
    return 0 if verdict.usable else 1


def _build(arguments: Namespace) -> int:
    from nvi_operator.kernel.kmod.build import built
    from nvi_operator.kernel.kmod.place import place
    from nvi_operator.kernel.kmod.sources import find_sources

    with built(find_sources(arguments.source), arguments.kernel or "") as made:
        path = place(Path(made.path), arguments.output)
    print(f"{path}: version {made.version}, for kernel {made.release}")
    return 0


def _install(arguments: Namespace) -> int:
    from nvi_operator.kernel.kmod.install import install
    from nvi_operator.kernel.kmod.sources import find_sources
    from nvi_operator.kernel.kmod.survey import survey_module
    from nvi_operator.kmod.verdict import judge

    done = install(find_sources(arguments.source), arguments.kernel or "", dkms=not arguments.no_dkms)
    file = done.file
    print(f"{file.path}: version {file.version}, for kernel {file.release}{'' if done.changed else '; unchanged'}")
    facts = survey_module()
    if file.release != facts.release:
        return 0
    verdict = judge(facts)
    print(f"module nvi: {verdict.why}")
    for line in verdict.todo:
        print(f"    {line}")
    if facts.enforced and verdict.usable:
        print(_MOK.format(facts.enforced))
    if verdict.case == "loadable":
        print(_AT_BOOT)
    return 0


def _uninstall(arguments: Namespace) -> int:
    from nvi_operator.kernel.kmod.install import uninstall
    from nvi_operator.kernel.kmod.survey import survey_module

    removed = list(uninstall())
    for what in removed:
        print(f"removed {what}")
    if not removed:
        print("module nvi: not installed")
    if survey_module().loaded:
        print("module nvi: still loaded until rmmod nvi; run nvictl down first")
    return 0


_MOK = """\
{} requires signatures. DKMS signs with its own key, which the firmware has to know:
    mokutil --import /var/lib/dkms/mok.pub
    # then reboot, and confirm it on the console"""

_AT_BOOT = """\
nvictl apply and run load it where the spec requires it; at boot packaging/nvi-operator.service does.
Without that service: echo nvi > /etc/modules-load.d/nvi.conf"""

_ACTIONS: Mapping[str, Callable[[Namespace], int]] = {
    "status": _status,
    "build": _build,
    "install": _install,
    "uninstall": _uninstall,
}
