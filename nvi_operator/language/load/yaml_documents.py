"""A YAML file to its documents, each validated: by libyaml and pydantic; long runs of plain entries by themselves
(`fast/fast_yaml.py`), in a tenth of the time. Both ways lead to equal parts and equal problems.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.fast.delta import Patch
from nvi_operator.language.fast.fast_yaml import LEAST, EntryRun, NotPlainError, cut, lines_of, second
from nvi_operator.language.fast.line_diff import changed_lines
from nvi_operator.language.load.merge import Part
from nvi_operator.language.load.yaml_errors import decoded, encoded
from nvi_operator.language.load.yaml_reader import Document, Path, parse
from nvi_operator.language.model.address_sets import KnownSets
from nvi_operator.language.model.gateway import Gateway
from nvi_operator.language.model.sections import LANGUAGE, Language

if TYPE_CHECKING:
    from nvi_operator.language.load.left_entries import LeftDocument

_NO_SETS: Mapping[str, KnownSets] = {}

_FOREIGN = "this is not a document of nvi-operator: it has neither its apiVersion nor one of its kinds"
_INSTEAD = "keep it in another directory; a spec begins with `apiVersion: nvi-operator/v1` and `kind: Gateway`"

LITTLE = 1 << 18  # characters of YAML that libyaml may read twice


def parts_of(
    data: bytes | str,
    file: str,
    problems: SpecProblems,
    least: int = LEAST,
    most_wrong: int | None = SpecProblems.MOST_COUNTED,
    language: Language = LANGUAGE,
) -> list[Part]:
    """The documents of one file that are valid; what is wrong is added to `problems`. Empty ones are left out.

    With `most_wrong` as many plain entries are enough, and those after them need not be read.
    """
    try:
        text = decoded(data, file)
        documents: Sequence[Document | CutDocument] = _cut_documents(
            text, file, language, least, most_wrong
        ) or parse(text, file)
    except SpecError as error:
        problems.add(error)
        return []
    found = [(document, _validated(document, language)) for document in documents if not is_operator(document)]
    if any(_unread(document) and not _is_wrong(gateway, most_wrong) for document, gateway in found):
        return parts_of(data, file, problems, least, None, language)
    return _parts(found, problems, language, _NO_SETS)


def documents_of(text: str, file: str, language: Language) -> Sequence[Document | CutDocument]:
    """The documents of one file, not validated. Raises SpecError with every problem of the file."""
    return _cut_documents(text, file, language, LEAST, None) or parse(text, file)


def validated(
    documents: Iterable[Document | CutDocument],
    problems: SpecProblems,
    language: Language,
    sets: Mapping[str, KnownSets],
) -> list[Part]:
    """The documents that are valid; what is wrong is added to `problems`. `sets` are by gateway."""
    found = [(document, _validated(document, language, sets)) for document in documents if not is_operator(document)]
    return _parts(found, problems, language, sets)


def _parts(
    found: Sequence[tuple[Document | CutDocument, Gateway | ValidationError]],
    problems: SpecProblems,
    language: Language,
    sets: Mapping[str, KnownSets],
) -> list[Part]:
    """The valid documents; and those that are without entries that no other section depends on."""
    parts: list[Part] = []
    for document, gateway in found:
        places: Mapping[str, Sequence[int]] = {}
        if isinstance(gateway, ValidationError):
            from nvi_operator.language.load.left_entries import without_wrong

            before = problems.total
            _explain(document, gateway, problems, language)
            problems.complete = problems.complete and not _unread(document)
            left = without_wrong(document.data, gateway, language)
            valid = _validated(left, language, sets) if left is not None else None
            if left is None or not isinstance(valid, Gateway):
                continue
            problems.confined += problems.total - before
            gateway, places = valid, left.places
        written = document.data.get("spec", ())
        sections = {section: getattr(gateway.spec, language.attributes[section]) for section in written}
        if isinstance(document, CutDocument):
            sections |= document.with_runs(sections)
        parts.append(Part(document, gateway.metadata.name, sections, places))
    return parts


def first_parts(
    data: bytes | str, file: str, problems: SpecProblems, first: int, language: Language
) -> tuple[list[Part], bool] | None:
    """Likewise, with the first plain entries of each section only; and whether that left any out.

    None where it would take as long as reading all of them, or where it is not YAML.
    """
    try:
        text = decoded(data, file)
        documents: Sequence[Document | CutDocument] = _cut_documents(
            text, file, language, LEAST, SpecProblems.MOST_COUNTED, first
        )
        if not documents and len(text) <= LITTLE:
            documents = parse(text, file)
    except SpecError:
        return None
    if not documents:
        return None
    found = [(document, _validated(document, language)) for document in documents if not is_operator(document)]
    parts = _parts(found, problems, language, _NO_SETS)
    return parts, any(map(_unread, documents))


def name_of(document: Document | CutDocument | LeftDocument) -> str | None:
    """The name of the gateway that a document is of, valid or not."""
    metadata = document.data.get("metadata") if isinstance(document.data, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) and not is_operator(document) else None
    return name if isinstance(name, str) else None


def _validated(
    document: Document | CutDocument | LeftDocument, language: Language, sets: Mapping[str, KnownSets] = _NO_SETS
) -> Gateway | ValidationError:
    try:
        return language.document.model_validate(document.data, context=sets.get(name_of(document) or ""))
    except ValidationError as error:
        return error


def is_operator(document: Document | CutDocument | LeftDocument) -> bool:
    """The document of the operator itself may stand beside the gateway's: /etc/nvi-operator/operator.yaml."""
    return isinstance(document.data, dict) and document.data.get("kind") == "Operator"


def _unread(document: Document | CutDocument) -> bool:
    return isinstance(document, CutDocument) and any(run.unread for run in document.runs.values())


def _is_wrong(gateway: Gateway | ValidationError, most: int | None) -> bool:
    return isinstance(gateway, ValidationError) and gateway.error_count() >= (most or 0)


def _is_foreign(data: Any, language: Language) -> bool:
    """Is it for another program, as a CI's workflow or a Kubernetes manifest is? One problem is enough then."""
    if not isinstance(data, dict):
        return False
    version, kind = data.get("apiVersion"), data.get("kind")
    if str(version).startswith("nvi-operator/") or kind == language.document.__name__:
        return False
    return "spec" not in data or (version is not None and kind is not None)


def _explain(
    document: Document | CutDocument, error: ValidationError, problems: SpecProblems, language: Language
) -> None:
    from nvi_operator.language.load.validation_messages import explained

    if _is_foreign(document.data, language):
        if not problems.is_full():
            problems.append(SpecProblem(document.find(()), "", _FOREIGN, _INSTEAD))
        return
    for problem in explained(document, error, language):
        if not problems.is_full():
            problems.append(problem)


@dataclass(frozen=True)
class CutDocument:
    """A document without its long runs of entries, and those."""

    rest: Document  # with markers
    data: Any  # without
    raw: bytes = field(repr=False)  # the whole file, its lines ending in one way
    cuts: Sequence[EntryRun] = field(repr=False)  # all that were cut out of it, from first to last
    runs: Mapping[str, EntryRun] = field(repr=False)  # those of this document, by the first marker

    @property
    def file(self) -> str:
        return self.rest.file

    def find(self, path: Path, *, key: bool = False) -> Position:
        """See Document."""
        for run in self.runs.values():
            if path[:2] == ("spec", run.section) and len(path) > 2 and path[2] in run.entries:
                return run.find(path[2:], self.raw, self.file, key=key)
        position = self.rest.find(path, key=key)
        if position.file != self.file:
            return position
        line = position.line
        for run in self.cuts:
            if line > self.raw.count(b"\n", 0, run.start) + 2:  # the markers
                line += self.raw.count(b"\n", run.start, run.end) - 2
        return Position(self.file, line, position.column)

    def edited(self, data: bytes) -> tuple[CutDocument, Patch] | None:
        """See `merge.Source`. Only where the edit is within one run."""
        raw = lines_of(encoded(data))
        lines = changed_lines(self.raw, raw)
        if lines is None:
            return None
        for run in self.runs.values():
            if found := run.edited(self.raw, raw, lines):
                changed, patch = found
                now = [
                    changed if r is run else r.moved(lines.growth) if r.start > run.start else r for r in self.cuts
                ]
                after = dict(zip((r.start for r in self.cuts), now, strict=True))
                runs = {first: after[r.start] for first, r in self.runs.items()}
                return replace(self, raw=raw, cuts=now, runs=runs), patch
        return None

    def of(self, rest: Document, language: Language) -> CutDocument:
        """The runs in `rest`, which has the same markers."""
        return _cut_document(rest, self.raw, self.runs, language, self.cuts) if rest is not self.rest else self

    def with_runs(self, sections: Mapping[str, Any]) -> Mapping[str, Any]:
        """The sections that have runs, with all their entries in the order written."""
        joined: dict[str, Mapping[str, Any]] = {}
        for section in dict.fromkeys(run.section for run in self.runs.values()):
            runs = [run.entries for run in self.runs.values() if run.section == section]
            if len(runs) == 1 and not self.data["spec"][section]:
                joined[section] = runs[0]  # the same, for it may be large
                continue
            entries: dict[str, Any] = {}
            joined[section] = entries
            for name in self.rest.data["spec"][section]:
                if name in self.runs:
                    entries.update(self.runs[name].entries)
                elif name in sections[section]:
                    entries[name] = sections[section][name]
        return joined


def _cut_documents(
    text: str, file: str, language: Language, least: int, most_wrong: int | None, first: int | None = None
) -> list[CutDocument]:
    """Empty where there is no long run, or where its meaning is not certain."""
    if len(text) < least:
        return []
    try:
        raw, remains, runs = cut(text, language.bulk, least, most_wrong, first, language.attributes)
        if first is not None and len(remains) > LITTLE:
            return []
        documents = (
            [_cut_document(document, raw, runs, language) for document in parse(remains, file)] if runs else []
        )
    except (NotPlainError, SpecError):  # of what is wrong the place is known in the whole text only
        return []
    found = sum(len(document.runs) for document in documents)
    return documents if found == len(runs) else []  # else one is in a text, or in a section of another meaning


def _cut_document(
    document: Document, raw: bytes, runs: Mapping[str, EntryRun], language: Language, cuts: Sequence[EntryRun] = ()
) -> CutDocument:
    """`cuts` are all of the file, where `runs` are not."""
    cuts = cuts or tuple(runs.values())
    data = document.data
    spec = data.get("spec") if isinstance(data, dict) else None
    if not isinstance(spec, dict):
        return CutDocument(document, data, raw, cuts, {})
    found: dict[str, EntryRun] = {}
    without: dict[str, Any] = {}
    for section, written in spec.items():
        if isinstance(written, dict) and (section in language.bulk or section not in language.attributes):
            mine = {name: runs[name] for name in written if name in runs}
            markers = {marker for first in mine for marker in (first, second(first))}
            if any(run.section != section for run in mine.values()) or any(written.get(m) != {} for m in markers):
                raise NotPlainError
            without[section] = {name: entry for name, entry in written.items() if name not in markers}
            _no_name_twice([without[section], *(run.entries for run in mine.values())])
            found |= mine
    return CutDocument(document, {**data, "spec": {**spec, **without}}, raw, cuts, found)


def _no_name_twice(parts: Iterable[Mapping[str, Any]]) -> None:
    names: set[str] = set()
    for part in parts:
        if not names.isdisjoint(part):
            raise NotPlainError
        names.update(part)
