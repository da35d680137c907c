"""Files to one checked gateway: read, parse, validate, add entries beside the YAML, merge, choose, check.

All documents of one name make up one gateway. Every problem found is reported, with its place. What one entry
must be is in the models in `model/`, what the whole must be in `check/gateway.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.check.gateway import check
from nvi_operator.language.check.port_claims import Claims
from nvi_operator.language.layers.presence import has_layers
from nvi_operator.language.load.files import (
    ENTRY_SUFFIXES,
    ReadEntries,
    SpecFiles,
    beside,
    entries_among,
    entries_unreadable,
)
from nvi_operator.language.load.first_entries import FirstEntries
from nvi_operator.language.load.merge import DocumentSource, Part, Positions, dotted, merge
from nvi_operator.language.load.yaml_documents import parts_of, validated
from nvi_operator.language.load.yaml_errors import encoded
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.address_sets import KnownSets
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.sections import LANGUAGE, Language
from nvi_operator.language.wording import LONGEST_NAME, short

if TYPE_CHECKING:
    from nvi_operator.language.layers.file_entries import FileEntries
    from nvi_operator.language.layers.layers import Layers

_NO_SETS: Mapping[str, KnownSets] = {}  # of a gateway without

__all__ = ["LoadedSpec", "Positions", "load_directory", "load_texts"]


@dataclass(frozen=True)
class LoadedSpec:
    """A gateway as its spec describes it, and where each value is written."""

    name: str
    spec: GatewaySpec
    where: Positions
    files: tuple[str, ...]
    shared: frozenset[str]  # those of them that other gateways use as well
    claims: Claims = field(repr=False, compare=False)
    language: Language = field(default=LANGUAGE, repr=False)
    texts: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)  # that no source keeps
    host: str | None = None  # the one that it was read for, where it may differ from host to host
    taken: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)  # names that no edit may add
    notes: tuple[SpecProblem, ...] = ()  # what is right, and has no effect

    @property
    def counts(self) -> dict[str, int]:
        """How many entries each section has, by its name in YAML."""
        return self.language.counts(self.spec)

    @property
    def counts_text(self) -> str:
        """The counts for people: `2 uplinks, 1 forward`; and how many more are disabled."""
        disabled = sum(map(len, self.where.disabled.values()))
        return self.language.counts_text(self.spec) + (f" ({disabled} more disabled)" if disabled else "")

    @property
    def contents(self) -> dict[str, bytes]:
        """What was read, by file; lines may end in another way than they did."""
        kept = {source.file: source.raw for source in self.where.sources if source.raw is not None}
        return {file: kept[file] if file in kept else self.texts[file] for file in self.files}


def load_directory(
    path: FilePath | str,
    *,
    hostname: str | None = None,
    gateway: str | None = None,
    language: Language = LANGUAGE,
) -> LoadedSpec:
    """The one gateway in `path` (a directory or a file) that matches `hostname`, or is called `gateway`; as it is on
    the host of that name.

    Raises SpecError with every problem found.
    """
    files = SpecFiles(path)
    texts = files.read_specs()
    return load_texts(
        texts, hostname=hostname, gateway=gateway, root=str(path), entries=files.read_entries, language=language
    )


def load_texts(
    texts: Mapping[str, bytes | str],
    *,
    hostname: str | None = None,
    gateway: str | None = None,
    root: str = "spec",
    entries: ReadEntries | None = None,
    language: Language = LANGUAGE,
) -> LoadedSpec:
    """Load texts by file name. `root` is the place of the error that there is no gateway.

    `entries` reads the files of entries that a document names; without it they are among `texts`.
    """
    yaml = {file: texts[file] for file in sorted(texts) if not file.endswith(ENTRY_SUFFIXES)}
    first = FirstEntries(entries or entries_among(texts), language)
    if has_layers(yaml):
        from nvi_operator.language.layers.layers import layers_of

        layers = layers_of(yaml, hostname, gateway, language)
        return _load_layers(layers, yaml, first.whole, hostname, gateway, root, language)

    def refuse_early(documents: Sequence[Part], problems: SpecProblems) -> LoadedSpec | None:
        """The gateway of some entries. An entry that is wrong here is wrong among all of them as well."""
        try:
            return _load(documents, yaml, first.read, SpecProblems(problems), hostname, gateway, root, language)
        except SpecError as error:
            found = SpecProblems()
            found.add(error)
            if not first.left_out or found.is_enough():
                raise SpecError(found) from None
            return None

    problems = SpecProblems()
    if (begun := first.read_yaml(yaml, problems)) is not None:
        refuse_early(begun, problems)
    problems = SpecProblems()
    documents = [part for file, text in yaml.items() for part in parts_of(text, file, problems, language=language)]
    if begun is None:
        loaded = refuse_early(first.of(documents), problems)
        if loaded and not first.left_out:
            return loaded
    return _load(documents, yaml, first.whole, problems, hostname, gateway, root, language)


def load_gateways(
    texts: Mapping[str, bytes], *, root: str, entries: ReadEntries
) -> dict[str, LoadedSpec | SpecError]:
    """Every gateway in some texts by its name, or what is wrong with it as a whole.

    Raises SpecError for what is wrong by itself: it may be any one's.
    """
    problems = SpecProblems()
    documents = [part for file in sorted(texts) for part in parts_of(texts[file], file, problems)]
    parts = _parts(documents, entries, problems, LANGUAGE)
    if problems:
        raise SpecError(_in_order(problems))
    if not parts:
        raise _no_documents(root)
    found: dict[str, LoadedSpec | SpecError] = {}
    for name in dict.fromkeys(part.name for part in parts):
        try:
            found[name] = _merged(parts, name, texts, SpecProblems(), LANGUAGE)
        except SpecError as error:
            found[name] = error
    return found


def _load_layers(
    layers: Layers,
    yaml: Mapping[str, bytes | str],
    entries: ReadEntries,
    hostname: str | None,
    gateway: str | None,
    root: str,
    language: Language,
) -> LoadedSpec:
    """See `_load`."""
    problems = SpecProblems(layers.problems)
    try:
        documents = validated(layers.documents, problems, language, layers.sets)
        loaded = _load(
            documents, yaml, entries, problems, hostname, gateway, root, language, layers.sets, layers.file_entries
        )
    except SpecError as error:
        raise layers.explain(error) from None
    more = [file for file in (layers.overlay,) if file is not None and file not in loaded.files]
    texts = {**loaded.texts, **{file: encoded(yaml[file]) for file in more}}
    notes = tuple(layers.notes_on(loaded.name))
    return replace(
        loaded, files=(*loaded.files, *more), texts=texts, host=layers.host, taken=layers.names, notes=notes
    )


def _load(
    documents: Sequence[Part],
    yaml: Mapping[str, bytes | str],
    entries: ReadEntries,
    problems: SpecProblems,
    hostname: str | None,
    gateway: str | None,
    root: str,
    language: Language,
    sets: Mapping[str, KnownSets] = _NO_SETS,
    of_host: FileEntries | None = None,
) -> LoadedSpec:
    """The gateway that documents mean, in which `problems` were found before. Raises SpecError with all problems."""
    parts = _parts(documents, entries, problems, language, sets, of_host)
    if problems and (problems.total > problems.confined or len({part.name for part in parts}) != 1):
        raise SpecError(_in_order(problems))
    if not parts:
        raise _no_documents(root)
    name = _choose(parts, hostname, gateway)
    return _merged(parts, name, yaml, problems, language)


def _merged(
    parts: Sequence[Part],
    name: str,
    yaml: Mapping[str, bytes | str],
    problems: SpecProblems,
    language: Language,
) -> LoadedSpec:
    """The gateway of this name. Raises SpecError with `problems` and those of the whole."""
    chosen = [part for part in parts if part.name == name]
    spec, where, _ = merge(chosen, language)
    claims = Claims()
    for path, message, hint in check(spec, claims, where.disabled):
        if not problems.is_full():  # to find a place takes longer than to find a problem
            source, written = where.written(path)
            problems.append(SpecProblem(source.find(written), dotted(written), message, hint))
    if problems:
        raise SpecError(_in_order(problems))
    files = tuple(dict.fromkeys(part.source.file for part in chosen))
    texts = {
        part.source.file: encoded(yaml[part.source.file])
        for part in chosen
        if part.source.raw is None and part.source.file in yaml
    }
    shared = frozenset(part.source.file for part in parts if part.name != name) & {*files}
    return LoadedSpec(name, spec, where, files, shared, claims, language, texts)


def _no_documents(root: str) -> SpecError:
    message, hint = "there is no document of kind Gateway in it", "see `nvictl schema` and examples/"
    return SpecError([SpecProblem(Position(root, 1, 1), "", message, hint)])


def _in_order(problems: SpecProblems) -> SpecProblems:
    ordered = SpecProblems(problems)
    ordered[:] = sorted(dict.fromkeys(problems), key=lambda problem: (problem.position, problem.path))
    return ordered


def _parts(
    documents: Sequence[Part],
    entries: ReadEntries,
    problems: SpecProblems,
    language: Language,
    sets: Mapping[str, KnownSets] = _NO_SETS,
    of_host: FileEntries | None = None,
) -> list[Part]:
    """Every document and what it names; what is wrong with them, and beside those of the same name, is added."""
    parts: list[Part] = []
    named: dict[tuple[str, str, str], tuple[DocumentSource, Path]] = {}
    for part in documents:
        parts.append(part)
        known = sets.get(part.name)
        for found in _named_by(part, entries, named, problems, language, known):
            parts += of_host.over(found, known, problems) if of_host else [found]
    if of_host is not None:
        parts += of_host.rest(sets.get(of_host.gateway), problems)
    for name in dict.fromkeys(part.name for part in parts):
        twice = merge([part for part in parts if part.name == name], language)[2]
        problems += twice
        problems.confined += twice.confined  # of two the first is checked
    return parts


def _named_by(
    part: Part,
    entries: ReadEntries,
    named: dict[tuple[str, str, str], tuple[DocumentSource, Path]],
    problems: SpecProblems,
    language: Language,
    sets: KnownSets | None,
) -> Iterator[Part]:
    """The files of entries that a document names, except those that are in `named` already."""
    document = part.source
    for field_name, section in language.files.items():
        files = part.sections.get(field_name) or ()
        for index, file in enumerate(files):
            path: Path = ("spec", field_name, index)
            where = dotted(path[:2])
            found_at = beside(document.file, file)
            first, first_path = named.setdefault((part.name, section, found_at), (document, path))
            if (first, first_path) != (document, path):
                message = f"{short(file, LONGEST_NAME)} is already named at {first.find(first_path)}"
                problems.append(SpecProblem(document.find(path), where, message, "name it once"))
                continue
            if problems.is_enough():
                return
            from nvi_operator.language.load.entries import read_entries

            try:
                source, found = read_entries(entries(document.file, file), found_at, section, language, sets)
            except SpecError as error:
                problems.add(error)
            except OSError as error:
                problem = entries_unreadable(document.file, file, error)
                problems.append(SpecProblem(document.find(path), where, *problem))
            else:
                yield Part(source, part.name, {section: found})


def _choose(parts: Sequence[Part], hostname: str | None, gateway: str | None) -> str:
    """The name of the gateway that is meant."""
    hosts: dict[str, set[str]] = {}
    for part in parts:
        hosts.setdefault(part.name, set()).update(part.sections.get("host") or ())
    there_are = f"there are: {', '.join(sorted(hosts))}"
    if gateway is not None:
        if gateway in hosts:
            return gateway
        raise _no_choice(parts[0], f"there is no gateway {gateway!r} here", there_are)
    mine = [name for name, on in hosts.items() if not on or "any" in on or hostname is None or hostname in on]
    if len(mine) == 1:
        return mine[0]
    host = "this host" if hostname is None else f"host {hostname!r}"
    if not mine:
        hint = f"add it to spec.host of one, or name one with --gateway, or a host with --host; {there_are}"
        raise _no_choice(parts[0], f"no gateway matches {host}", hint)
    second = next(part for part in parts if part.name == mine[1])
    names = ", ".join(sorted(mine))
    raise _no_choice(second, f"several gateways match {host}: {names}", "name one with --gateway, or set spec.host")


def _no_choice(part: Part, message: str, hint: str) -> SpecError:
    path = ("metadata", "name")
    return SpecError([SpecProblem(part.source.find(path), dotted(path), message, hint)])
