"""A directory of YAML files to one checked gateway: read, parse, validate, merge, check.

All documents of one name make up one gateway. Every problem found is reported, with its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from nvi_operator.errors import Position, SpecError, SpecProblem
from nvi_operator.spec.check import check
from nvi_operator.spec.document import Document, Path, parse
from nvi_operator.spec.explain import explained
from nvi_operator.spec.models import Gateway, GatewaySpec

SUFFIXES = (".yaml", ".yml")

_MAPPINGS = ("interfaces", "uplinks", "forwards", "static", "twiceNat")
_LISTS = ("sourceNat", "routes")
_SINGLES = ("host", "dataplane", "numbers", "guards")


@dataclass(frozen=True)
class Positions:
    """Where each value of a merged gateway was written."""

    documents: tuple[Document, ...]
    origins: Mapping[Path, tuple[int, Path]]  # merged path -> (document, path in it)

    def find(self, path: Path) -> Position:
        """The place of `path` (as in the document: `spec`, section, ...), or of its nearest parent."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                number, start = self.origins[path[:length]]
                return self.documents[number].find((*start, *path[length:]))
        return self.documents[0].find(path)


@dataclass(frozen=True)
class LoadedSpec:
    """A gateway as it shall be, and where it is written."""

    name: str
    spec: GatewaySpec
    where: Positions
    files: tuple[str, ...]


def load_directory(path: FilePath, *, hostname: str | None = None, gateway: str | None = None) -> LoadedSpec:
    """The one gateway in `path` (a directory or a file) that is for `hostname`, or is called `gateway`.

    Raises SpecError with every problem found.
    """
    return load_texts(_read(path), hostname=hostname, gateway=gateway, root=str(path))


def spec_files(root: FilePath) -> Iterator[FilePath]:
    """The YAML files below `root`, by relative path, without hidden ones and editors' leavings."""
    found = [
        file
        for file in root.rglob("*")
        if file.suffix in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(root).parts)
    ]
    yield from sorted(found, key=lambda file: file.relative_to(root).as_posix())


def _read(path: FilePath) -> dict[str, bytes]:
    try:
        files = list(spec_files(path)) if path.is_dir() else [path]
        if not files:
            raise _alone(str(path), "no YAML files in this directory", "put a gateway's spec into a *.yaml file here")
        return {str(file): file.read_bytes() for file in files}
    except OSError as error:
        where = str(error.filename or path)
        raise _alone(
            where, f"cannot be read: {error.strerror}", "give a directory or a file with YAML specs"
        ) from error


def _alone(file: str, message: str, hint: str) -> SpecError:
    return SpecError([SpecProblem(Position(file, 1, 1), "", message, hint)])


def load_texts(
    texts: Mapping[str, bytes],
    *,
    hostname: str | None = None,
    gateway: str | None = None,
    root: str = "spec",
) -> LoadedSpec:
    """The same, of texts by file name."""
    problems: list[SpecProblem] = []
    documents: list[Document] = []
    for file in sorted(texts):
        try:
            documents += parse(texts[file], file)
        except SpecError as error:
            problems += error.problems
    parts = [part for document in documents if (part := _validate(document, problems)) is not None]
    if problems:
        raise SpecError(sorted(problems, key=lambda problem: problem.position))
    if not parts:
        raise _alone(root, "there is no gateway in it: the files are empty", "see `nvictl schema` and examples/")
    name = _choose(parts, hostname, gateway)
    return _merge(name, [part for part in parts if part.gateway.metadata.name == name])


@dataclass(frozen=True)
class _Part:
    document: Document
    gateway: Gateway


def _validate(document: Document, problems: list[SpecProblem]) -> _Part | None:
    try:
        return _Part(document, Gateway.model_validate(document.root.plain()))
    except ValidationError as error:
        problems += explained(document, error)
        return None


def _choose(parts: Sequence[_Part], hostname: str | None, gateway: str | None) -> str:
    """The name of the gateway that is meant."""
    hosts: dict[str, set[str]] = {}
    for part in parts:
        said = hosts.setdefault(part.gateway.metadata.name, set())
        said.update(part.gateway.spec.host or ())
    first = parts[0].document
    if gateway is not None:
        if gateway in hosts:
            return gateway
        raise SpecError(
            [
                SpecProblem(
                    first.find(("metadata", "name"), key=True),
                    "metadata.name",
                    f"there is no gateway {gateway!r} here",
                    f"there are: {', '.join(sorted(hosts))}",
                )
            ]
        )
    mine = [name for name, said in hosts.items() if not said or "any" in said or hostname is None or hostname in said]
    if len(mine) == 1:
        return mine[0]
    if mine:
        message = f"several gateways are for this host ({hostname}): {', '.join(sorted(mine))}"
        hint = "name one with --gateway, or set spec.host"
    else:
        message = f"no gateway is for this host ({hostname})"
        hint = f"set spec.host, or name one with --gateway: there are: {', '.join(sorted(hosts))}"
    raise SpecError([SpecProblem(first.find(("metadata", "name")), "spec.host", message, hint)])


# --------------------------------------------------------------------------- merging


@dataclass
class _Merged:
    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, tuple[int, Path]] = field(default_factory=dict)
    problems: list[SpecProblem] = field(default_factory=list)


def _merge(name: str, parts: Sequence[_Part]) -> LoadedSpec:
    merged = _Merged()
    documents = tuple(part.document for part in parts)
    for number, part in enumerate(parts):
        _add(merged, documents, number, part.gateway.spec)
    where = Positions(documents, merged.origins)
    if not merged.problems:
        spec = GatewaySpec.model_validate(merged.data)
        merged.problems += [
            SpecProblem(where.find(path), _dotted(path), message, hint) for path, message, hint in check(spec)
        ]
        if not merged.problems:
            return LoadedSpec(name, spec, where, tuple(dict.fromkeys(d.file for d in documents)))
    raise SpecError(sorted(merged.problems, key=lambda problem: problem.position))


def _add(merged: _Merged, documents: Sequence[Document], number: int, spec: GatewaySpec) -> None:
    document = documents[number]
    said = document.root.value.get("spec")
    sections = said[1].value if said else None
    for section in sections or {}:
        value = getattr(spec, _attribute(section))
        path: Path = ("spec", section)
        if section in _SINGLES:
            if section in merged.data:
                _twice(merged, documents, number, path, path, section)
            merged.data[section] = value
            merged.origins[path] = (number, path)
        elif section in _MAPPINGS:
            target = merged.data.setdefault(section, {})
            for key, item in value.items():
                if key in target:
                    _twice(merged, documents, number, (*path, key), (*path, key), f"{section} {key!r}")
                target[key] = item
                merged.origins[(*path, key)] = (number, (*path, key))
        else:
            lines = merged.data.setdefault(section, [])
            names = {item.name: index for index, item in enumerate(lines)}
            for index, item in enumerate(value):
                here: Path = (*path, index, "name")
                if item.name in names:
                    _twice(
                        merged, documents, number, here, (*path, names[item.name], "name"), f"{section} {item.name!r}"
                    )
                names[item.name] = len(lines)
                merged.origins[(*path, len(lines))] = (number, (*path, index))
                lines.append(item)


def _attribute(section: str) -> str:
    return {"sourceNat": "source_nat", "twiceNat": "twice_nat"}.get(section, section)


def _twice(merged: _Merged, documents: Sequence[Document], number: int, path: Path, earlier: Path, what: str) -> None:
    first = Positions(tuple(documents), merged.origins).find(earlier)
    merged.problems.append(
        SpecProblem(
            documents[number].find(path, key=True),
            _dotted(path),
            f"{what} is defined for the second time: first at {first}",
            "keep one of them, or give one another name",
        )
    )


def _dotted(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
