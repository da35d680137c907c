"""`nvictl module`: the kernel module of dataplane kmod."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import show


def _status(context: Context) -> int:
    from nvi_operator.kernel.kmod.survey import survey_module
    from nvi_operator.kmod.verdict import judge
    from nvi_operator.view.module import module_json, module_text

    facts = survey_module()
    verdict = judge(facts)
    show(context.arguments, lambda: module_json(facts, verdict), lambda width: module_text(facts, verdict, width))
    return 0 if verdict.usable else 1


def _build(context: Context) -> int:
    from nvi_operator.kernel.kmod.build import built
    from nvi_operator.kernel.kmod.place import place
    from nvi_operator.kernel.kmod.sources import find_sources

    arguments = context.arguments
    with built(find_sources(arguments.source), arguments.kernel or "") as made:
        path = place(Path(made.path), arguments.output)
    print(f"{path}: version {made.version}, for kernel {made.release}")
    return 0


def _install(context: Context) -> int:
    from nvi_operator.kernel.kmod.install import install
    from nvi_operator.kernel.kmod.sources import find_sources
    from nvi_operator.kernel.kmod.survey import survey_module
    from nvi_operator.kmod.verdict import judge

    arguments = context.arguments
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


def _uninstall(context: Context) -> int:
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


def _kernel(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--kernel", metavar="RELEASE", help="for this kernel, as in /lib/modules (default: the running one)"
    )


def _source(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--source", metavar="DIR", type=Path, help="the module's sources (default: those shipped with nvictl)"
    )


def _build_output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path(), help="where to put nvi.ko (default: here)"
    )


def _no_dkms(parser: ArgumentParser) -> None:
    parser.add_argument("--no-dkms", action="store_true", help="do not use DKMS although it is installed")


COMMAND = Command(
    "module",
    "show, build or install the kernel module, which dataplane kmod uses",
    actions=(
        Command(
            "status",
            "show whether the module can be used, and if not, what to do",
            (options.output,),
            _status,
            Exits("0 the module can be used, 1 it cannot"),
        ),
        Command(
            "build",
            "build nvi.ko against a kernel's headers; needs no root",
            (_source, _kernel, _build_output),
            _build,
        ),
        Command(
            "install",
            "build nvi.ko and install it where modprobe finds it; with DKMS, where that is installed",
            (_source, _kernel, _no_dkms),
            _install,
        ),
        Command(
            "uninstall",
            "remove what install installed, for every kernel; a loaded module stays loaded",
            (),
            _uninstall,
        ),
    ),
)
