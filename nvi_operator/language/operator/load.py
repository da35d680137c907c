"""A file to one Operator document, with the place of everything that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path as FilePath

from pydantic import ValidationError

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.load.merge import dotted
from nvi_operator.language.load.validation_messages import explained
from nvi_operator.language.load.yaml_reader import Document, parse
from nvi_operator.language.operator.model import Operator, OperatorSpec
from nvi_operator.language.wording import listed, nearest, shown

MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class _Root:
    document: type[Operator] = Operator


def load_operator(path: FilePath, event_kinds: Collection[str]) -> OperatorSpec:
    """The Operator document in a file. `event_kinds`: the kinds that hooks may name. Raises NviError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        hint = "run as root, or use sudo" if isinstance(error, PermissionError) else ""
        raise NviError(f"{path}: cannot be read: {error.strerror or error}", hint=hint) from error
    if len(data) > MOST_BYTES:
        raise NviError(f"{path}: cannot be read: it has more than {MOST_BYTES >> 20} MiB")
    documents = parse(data, str(path))
    if len(documents) != 1:
        place = documents[1].find(()) if documents else Position(str(path), 1, 1)
        found = "there is no document in it" if not documents else "there are several documents in it"
        raise SpecError([SpecProblem(place, "", found, "write one document, of kind Operator")])
    return operator_of(documents[0], event_kinds)


def operator_of(document: Document, event_kinds: Collection[str]) -> OperatorSpec:
    """Raises SpecError with every problem of the document."""
    problems = SpecProblems()
    try:
        spec = Operator.model_validate(document.data).spec
    except ValidationError as error:
        for problem in explained(document, error, _Root()):
            if not problems.is_full():
                problems.append(problem)
        raise SpecError(problems) from None
    problems += _unknown_events(document, spec, event_kinds)
    if problems:
        raise SpecError(problems)
    return spec.model_copy(update={"checks": {name: check for name, check in spec.checks.items() if check.enabled}})


def _unknown_events(document: Document, spec: OperatorSpec, kinds: Collection[str]) -> Iterator[SpecProblem]:
    for number, hook in enumerate(spec.hooks):
        for index, kind in enumerate(hook.events or ()):
            if kind not in kinds:
                path = ("spec", "hooks", number, "events", index)
                near = nearest(kind, kinds)
                hint = f"did you mean {near!r}?" if near else f"there are: {listed(kinds)}; see docs/events.md"
                yield SpecProblem(document.find(path), dotted(path), f"there is no event {shown(kind)}", hint)
