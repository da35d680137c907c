"""The kernel module on this machine: the verdict, what to do, and all facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nvi_operator.kmod.facts import ModuleFacts, ModuleFile
from nvi_operator.kmod.verdict import OLDEST, ModuleVerdict
from nvi_operator.view.plain import json_data
from nvi_operator.view.segment import Piece, Segment, line
from nvi_operator.view.table import labelled


def module_text(facts: ModuleFacts, verdict: ModuleVerdict, width: int | None) -> Iterator[Piece]:
    word = Segment("usable", "green") if verdict.usable else Segment("not usable", "bold red")
    yield from labelled((Segment("module nvi: "), word, Segment(": ")), verdict.why, width)
    for command in verdict.todo:
        yield line(f"    {command}")  # to be pasted
    for name, value in _rows(facts):
        yield from labelled(line(f"{name:<16}"), value, width)


def module_json(facts: ModuleFacts, verdict: ModuleVerdict) -> dict[str, Any]:
    """`usable` is false exactly when the exit code is 1."""
    return {
        "usable": verdict.usable,
        "case": verdict.case,
        "why": verdict.why,
        "todo": list(verdict.todo),
        "oldest": OLDEST,
        "facts": json_data(facts),
    }


def _rows(facts: ModuleFacts) -> Iterator[tuple[str, str]]:
    takes = "takes modules" if facts.takes_modules else "takes no modules"
    yield "kernel", f"{facts.release}, {'modules are locked' if facts.locked else takes}"
    yield "in the kernel", _in_kernel(facts)
    yield "installed", _file(facts.installed) if facts.installed else "no"
    if facts.other_kernels:
        yield "installed for", ", ".join(facts.other_kernels)
    if facts.refused:
        yield "refused", facts.refused
    yield "DKMS", _dkms(facts)
    yield "headers", f"/lib/modules/{facts.release}/build" if facts.headers else "none"
    yield "signatures", f"required by {facts.enforced}" if facts.enforced else "not required"
    yield "Secure Boot", {True: "on", False: "off", None: "unknown"}[facts.secure_boot]
    yield "may load it", _may_load(facts)


def _in_kernel(facts: ModuleFacts) -> str:
    if facts.loaded:
        return f"loaded, version {facts.loaded_version or 'unknown'}"
    return "built in" if facts.built_in else "no"


def _file(file: ModuleFile) -> str:
    signed = {True: "signed", False: "not signed", None: "signature unknown"}[file.signed]
    return f"{file.path}, version {file.version or 'unknown'}, for {file.release or 'an unknown kernel'}, {signed}"


def _dkms(facts: ModuleFacts) -> str:
    builds = [
        " ".join(filter(None, (b.version, b.state, b.release and f"for {b.release}"))) for b in facts.dkms_builds
    ]
    return ", ".join(builds) or ("has no nvi" if facts.dkms else "not installed")


def _may_load(facts: ModuleFacts) -> str:
    if facts.may_load:
        return "nvictl (CAP_SYS_MODULE)"
    return "the kernel, on demand" if facts.on_demand else "only a process with CAP_SYS_MODULE"
