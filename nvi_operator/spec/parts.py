"""A YAML file to its documents, each validated: by libyaml and pydantic, or, where it has long runs of plain entries,
those by themselves (`runs.py`). Both ways lead to equal parts; the second is an order of magnitude faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from nvi_operator.errors import SpecError, SpecProblem
from nvi_operator.spec.bulk import MODELS
from nvi_operator.spec.document import LateDocument, parse
from nvi_operator.spec.explain import explained
from nvi_operator.spec.merge import ATTRIBUTES, Part, Source
from nvi_operator.spec.models import Gateway
from nvi_operator.spec.runs import LEAST, Doubt, Run, cut, second
from nvi_operator.spec.syntax import decoded


def parts_of(data: bytes | str, file: str, problems: list[SpecProblem], least: int = LEAST) -> list[Part]:
    """The documents of one file that are valid; what is wrong is added to `problems`. Empty ones are left out."""
    try:
        text = decoded(data, file)
        return _with_runs(text, file, least) or _whole(text, file, problems)
    except SpecError as error:
        problems += error.problems
        return []


def _whole(text: str, file: str, problems: list[SpecProblem]) -> list[Part]:
    parts: list[Part] = []
    for document in parse(text, file):
        try:
            gateway = Gateway.model_validate(document.data)
        except ValidationError as error:
            problems += explained(document, error)
        else:
            parts.append(_part(document, gateway, document.data))
    return parts


def _part(source: Source, gateway: Gateway, data: Mapping[str, Any]) -> Part:
    sections = {section: getattr(gateway.spec, ATTRIBUTES[section]) for section in data.get("spec", ())}
    return Part(source, gateway.metadata.name, sections)


def _with_runs(text: str, file: str, least: int) -> list[Part]:
    """Nothing where there are none, or where something is not plain, or wrong: the whole text says what and where."""
    try:
        remains, runs = cut(text, least)
        left = dict(runs)
        parts = [
            _of_remains(LateDocument(file, text, index), document.data, runs, left)
            for index, document in enumerate(parse(remains, file) if runs else ())
        ]
    except (Doubt, SpecError, ValidationError):
        return []
    return [] if left else parts  # a marker may be left in a text, or in a section of another meaning


def _of_remains(source: Source, data: Any, runs: Mapping[str, Run], left: dict[str, Run]) -> Part:
    spec = data.get("spec") if isinstance(data, dict) else None
    if not isinstance(spec, dict):
        raise Doubt
    cuts = {name: spec[name] for name in MODELS if isinstance(spec.get(name), dict)}
    markers = {marker for first in runs for marker in (first, second(first))}
    without = {
        section: {name: entry for name, entry in entries.items() if name not in markers}
        for section, entries in cuts.items()
    }
    data = {**data, "spec": {**spec, **without}}
    part = _part(source, Gateway.model_validate(data), data)
    for section, names in cuts.items():
        part.sections[section] = _joined(section, names, part.sections[section], left)
    return part


def _joined(
    section: str, names: Mapping[str, Any], entries: Mapping[str, Any], left: dict[str, Run]
) -> Mapping[str, Any]:
    """The entries of a section in the order written, runs among them."""
    joined: dict[str, Any] = {}
    for name, written in names.items():
        run = left.pop(name, None)
        if run is not None:
            if run.section != section or written != {} or names.get(second(name)) != {}:
                raise Doubt
            more = run.entries
        elif name in entries:
            more = {name: entries[name]}
        else:
            continue  # the second marker
        if joined.keys() & more.keys():
            raise Doubt
        joined.update(more)
    return joined
