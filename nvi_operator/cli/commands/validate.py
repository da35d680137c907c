"""`nvictl validate`: is a spec right? And the Operator document, where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nvi_operator.cli import checking, options
from nvi_operator.cli.command import Command
from nvi_operator.cli.context import Context
from nvi_operator.cli.output import print_json, tell

if TYPE_CHECKING:
    from nvi_operator.errors import SpecProblem
    from nvi_operator.invariants.result import InvariantResult
    from nvi_operator.language.load.every_host import OnHost
    from nvi_operator.language.load.loader import LoadedSpec


def run(context: Context) -> int:
    operators, others = _operators(context)
    if operators and not others:
        if context.arguments.output == "json":
            print_json({"operator": operators})
        else:
            print("\n".join(f"{file}: valid Operator document" for file in operators))
        return 0
    if context.arguments.host == options.ALL_HOSTS:
        return _every_host(context, operators)
    loaded, results = _checked(context)
    if context.arguments.output == "json":
        found = {"operator": operators} if operators else {}
        from nvi_operator.view.invariants import results_json

        checks: dict[str, Any] = {"checks": results_json(results, loaded.where)}
        checks |= {"notes": [str(note) for note in loaded.notes]} if loaded.notes else {}
        print_json({"gateway": loaded.name, "files": list(loaded.files), **loaded.counts, **checks, **found})
    else:
        _tell_notes(loaded.notes)
        for file in operators:
            print(f"{file}: valid Operator document")
        print(f"gateway {loaded.name}: valid: {loaded.counts_text}")
    return 0


def _checked(context: Context) -> tuple[LoadedSpec, Sequence[InvariantResult]]:
    """Raises SpecError where it is wrong, or where an invariant or an assertion does not hold."""
    from nvi_operator.errors import SpecError

    file = context.arguments.junit
    try:
        loaded = context.load()
    except SpecError as error:
        if file is not None:
            checking.report_unreadable(error, file)
        raise
    results = checking.of_spec(loaded, thorough=file is not None)
    if failed := checking.report(loaded, results, file):
        raise failed
    return loaded, results


def _every_host(context: Context, operators: list[str]) -> int:
    from nvi_operator.errors import SpecError, SpecProblems
    from nvi_operator.language.load.every_host import load_every_host, on_every_host

    arguments = context.arguments
    try:
        found = load_every_host(arguments.spec, gateway=arguments.gateway)
    except SpecError as error:
        if arguments.junit is not None:
            checking.report_unreadable(error, arguments.junit)
        raise
    results = {each.where: checking.of_spec(each.loaded, thorough=arguments.junit is not None) for each in found}
    failed = SpecProblems()
    of_all = [(each.where, each.loaded, results[each.where]) for each in found]
    for wrong in checking.report_all(of_all, arguments.junit):
        failed.add(wrong)
    if failed:
        raise SpecError(failed)
    if arguments.output == "json":
        hosts = [_host_json(each, results[each.where]) for each in found]
        print_json({"hosts": hosts, **({"operator": operators} if operators else {})})
        return 0
    _tell_notes(on_every_host(found))
    for file in operators:
        print(f"{file}: valid Operator document")
    for each in found:
        print(f"{each.where}: gateway {each.loaded.name}: valid: {each.loaded.counts_text}")
    return 0


def _tell_notes(notes: Iterable[SpecProblem]) -> None:
    for note in notes:
        tell(str(note))


def _host_json(each: OnHost, results: Sequence[InvariantResult]) -> dict[str, Any]:
    from nvi_operator.view.invariants import results_json

    loaded = each.loaded
    return {
        "host": each.host,
        "gateway": loaded.name,
        "files": list(loaded.files),
        **loaded.counts,
        "checks": results_json(results, loaded.where),
    }


def _operators(context: Context) -> tuple[list[str], bool]:
    """The files with an Operator document, all valid; and whether there is anything but such. Raises SpecError."""
    from nvi_operator.errors import SpecError, SpecProblems
    from nvi_operator.language.load.files import SpecFiles
    from nvi_operator.language.operator.values import may_have_operator

    files = SpecFiles(context.arguments.spec)
    names, errors = files.names() if files.is_directory else ([str(files.root)], [])
    if not files.is_directory and not os.path.isfile(files.root):
        return [], True  # a pipe can be read once
    found: list[str] = []
    problems = SpecProblems()
    others = bool(errors)
    for name in names:
        try:
            data = files.read(name)
        except OSError:
            others = True  # the loader tells
            continue
        if not may_have_operator(data):
            others = True
            continue
        try:
            only = _check_operators(data, name)
            found.append(name)
        except SpecError as error:
            problems.add(error)
            continue
        others |= not only
    if problems:
        raise SpecError(problems)
    return found, others


def _check_operators(data: bytes, name: str) -> bool:
    """Is there nothing else in the file? Raises SpecError."""
    from nvi_operator.events.kinds import KINDS
    from nvi_operator.language.load.yaml_documents import is_operator
    from nvi_operator.language.load.yaml_reader import parse
    from nvi_operator.language.operator.load import operator_of

    documents = parse(data, name)
    for document in filter(is_operator, documents):
        operator_of(document, KINDS)
    return all(map(is_operator, documents))


COMMAND = Command(
    "validate",
    "check a spec, its invariants and assertions; needs no root and no kernel",
    (options.spec_of_hosts, options.output, checking.junit),
    run,
)
