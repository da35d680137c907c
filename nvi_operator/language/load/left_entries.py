"""What is left of a document without the entries that are wrong by themselves, so that one run tells what else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.sections import Language


@dataclass(frozen=True)
class LeftDocument:
    """`places`: of sections that are lists, the place in the document of each entry that is left."""

    data: Any
    places: Mapping[str, Sequence[int]]


def without_wrong(data: Any, error: ValidationError, language: Language) -> LeftDocument | None:
    """None where more is wrong than entries that nothing else depends on."""
    wrong: dict[str, set[str | int]] = {}
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        root, section, entry, *_ = (*item["loc"], None, None, None)
        declared = language.by_name.get(str(section))
        if root != "spec" or declared is None or not declared.independent or not isinstance(entry, str | int):
            return None
        wrong.setdefault(declared.name, set()).add(entry)
    spec = dict(data["spec"])
    places: dict[str, Sequence[int]] = {}
    for section, entries in wrong.items():
        written = spec[section]
        if isinstance(written, dict) and entries <= written.keys():
            spec[section] = {name: entry for name, entry in written.items() if name not in entries}
        elif isinstance(written, list):
            places[section] = [number for number in range(len(written)) if number not in entries]
            spec[section] = [written[number] for number in places[section]]
        else:
            return None
    return LeftDocument({**data, "spec": spec}, places)
