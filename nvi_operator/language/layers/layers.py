"""One spec for many hosts: documents as they are on one of them, before anything is validated.

A directory may hold documents of kind Host, one for each host (`hosts/NAME.yaml` by custom). The one of this host is
merged over the gateway's documents (`overlay.py`), after variables are filled in (`variables.py`). What comes out are
documents as if they had been written for this host, each value with the place where it is from. A spec that has
neither never comes here (`presence.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecError, SpecProblem, SpecProblems
from nvi_operator.language.layers.file_entries import FileEntries
from nvi_operator.language.layers.overlay import lay_over, mapping_of
from nvi_operator.language.layers.presence import MARK, may_have_host
from nvi_operator.language.layers.variables import HOSTNAME, Filling, Variable
from nvi_operator.language.load.merge import dotted
from nvi_operator.language.load.validation_messages import explained
from nvi_operator.language.load.yaml_documents import CutDocument, documents_of, name_of
from nvi_operator.language.load.yaml_errors import decoded, encoded
from nvi_operator.language.load.yaml_reader import Branch, Document, own_place, parse
from nvi_operator.language.model.address_sets import AddressSet, KnownSets, SetOrNetworks
from nvi_operator.language.model.host import FOLDER, Host
from nvi_operator.language.model.sections import LANGUAGE, Language
from nvi_operator.language.wording import listed, nearest, short

_WHATEVER = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))

AnyDocument = Document | CutDocument


@dataclass(frozen=True)
class _HostRoot:
    document: type[Host] = Host


@dataclass
class Layers:
    """The documents of a spec on one host; `host` is None where they are the same on every host.

    `overlay` is the file with the document of that host, `names` are the entries that it names, by section.
    `hosts` are all that have a document, `sets` the address sets of each gateway, `places` where they are written.
    """

    host: str | None = None
    documents: list[AnyDocument] = field(default_factory=list)
    overlay: str | None = None
    problems: SpecProblems = field(default_factory=SpecProblems)
    notes: dict[Position, str] = field(default_factory=dict)
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    file_entries: FileEntries | None = None
    hosts: tuple[str, ...] = ()
    sets: dict[str, KnownSets] = field(default_factory=dict)
    places: dict[str, dict[str, Position]] = field(default_factory=dict)

    def explain(self, error: SpecError) -> SpecError:
        """The error, with the place of everything that a value was made of."""
        own = set(self.problems)
        known = {problem.position for problem in own}
        told = SpecProblems()
        told.more, told.complete = error.more, error.complete
        for problem in error.problems:
            if problem in own or problem.position not in known:
                note = self.notes.get(problem.position)
                told.append(replace(problem, message=f"{problem.message} ({note})") if note else problem)
        return SpecError(told)

    def notes_on(self, gateway: str) -> Iterator[SpecProblem]:
        """What a gateway has and does not use; and that no document is of this host."""
        if self.host is not None and self.hosts and self.overlay is None:
            message = f"host {self.host!r} has no document of its own; there are some of {listed(self.hosts)}"
            document = next(d for d in self.documents if name_of(d) == gateway)
            at = ("metadata", "name")
            yield SpecProblem(document.find(at), dotted(at), message, "choose one of them with --host, or add one")
        if (sets := self.sets.get(gateway)) is not None:
            for name in sets.networks:
                if name not in sets.used:
                    path = dotted(("spec", "addressSets", name))
                    message, hint = f"address set {name!r} is not used", "remove it, or name it in a condition"
                    yield SpecProblem(self.places[gateway][name], path, message, hint)


def layers_of(
    texts: Mapping[str, bytes | str], hostname: str | None, gateway: str | None, language: Language
) -> Layers:
    """The layers of YAML files by name."""
    return _Reading(texts, hostname, gateway, language).layers()


def hosts_of(texts: Mapping[str, bytes | str]) -> tuple[dict[str, str | None], list[str]]:
    """The hosts that a spec names, in documents of their own or in `spec.host`, with the gateway that is on each, if
    it is one; and all gateways. What is wrong in it is told when it is loaded.
    """
    reading = _Reading(texts, None, None, LANGUAGE)
    on = _hosts_of_gateways(document for file in texts for document in reading.read(file))
    hosts = {host for names in on.values() for host in names if host != "any"} | reading.overlays.keys()
    return {host: _one_on(host, on) for host in sorted(hosts)}, list(on)


def _one_on(host: str | None, gateways: Mapping[str, set[str]]) -> str | None:
    """The gateway that is on a host; None where several are, or none."""
    mine = [name for name, on in gateways.items() if not on or "any" in on or host is None or host in on]
    return mine[0] if len(mine) == 1 else None


def _may_be_one(host: str, other: str) -> bool:
    """Are these names of one machine, but for case and domain?"""
    one, two = host.lower(), other.lower()
    return one == two or one == two.partition(".")[0] or two == one.partition(".")[0]


class _Reading:
    def __init__(
        self, texts: Mapping[str, bytes | str], hostname: str | None, gateway: str | None, language: Language
    ) -> None:
        self._texts = texts
        self._hostname = hostname
        self._gateway = gateway
        self._language = language
        self._result = Layers()
        self.overlays: dict[str, Document] = {}
        self._is_layered = False

    def layers(self) -> Layers:
        result = self._result
        documents = [document for file in self._texts for document in self.read(file)]
        chosen = self._chosen(documents)
        over = self.overlays.get(self._hostname or "") if chosen is not None else None
        filling = Filling({}, self._instead)
        for name in dict.fromkeys(filter(None, map(name_of, documents))):
            mine = [document for document in documents if name_of(document) == name]
            filling.variables = self._variables(mine, over if name == chosen else None)
            if over is not None and name == chosen:
                over = filling.fill(over)
            documents = [self._filled(d, filling, name == chosen) if name_of(d) == name else d for d in documents]
        if over is not None and chosen is not None:
            documents = self._lay_over(documents, over, chosen)
        result.documents = documents
        self._find_sets()
        for problem in filling.problems:
            self._problem(problem)
        for position, origin in filling.origins.items():
            result.notes[position] = f"{result.notes[position]}; {origin}" if position in result.notes else origin
        result.hosts = tuple(self.overlays)
        self._find_almost()
        if self.overlays or self._is_layered:
            result.host = self._hostname
        return result

    # ---------------------------------------------------------------- reading

    def read(self, file: str) -> list[AnyDocument]:
        """The documents of a file, without those of hosts, which are kept."""
        try:
            text = decoded(self._texts[file], file)
            has_variables = MARK in text
            self._is_layered = self._is_layered or has_variables
            is_whole = has_variables or may_have_host(encoded(self._texts[file]))
            found = parse(text, file) if is_whole else documents_of(text, file, self._language)
        except SpecError as error:
            self._result.problems.add(error)
            return []
        others: list[AnyDocument] = []
        for document in found:
            if isinstance(document, Document) and _kind_of(document) == "Host":
                self._keep(document, is_alone=len(found) == 1)
            else:
                others.append(document)
        return others

    def _keep(self, document: Document, *, is_alone: bool) -> None:
        try:
            host = Host.model_validate(document.data)
        except ValidationError as error:
            for problem in explained(document, error, _HostRoot()):
                self._problem(problem)
            return
        name = host.metadata.name
        path = ("metadata", "name")
        if (first := self.overlays.setdefault(name, document)) is not document:
            message = f"host {name!r} is already described at {first.find(path)}"
            self._problem(SpecProblem(document.find(path), dotted(path), message, "join the two, or rename one"))
        file = PurePath(document.file)
        if is_alone and file.parent.name == FOLDER and file.stem not in (name, name.partition(".")[0]):
            message = f"this file is called {short(file.stem)}, and describes host {name!r}"
            self._problem(SpecProblem(document.find(path), dotted(path), message, "rename one of them"))

    # ---------------------------------------------------------------- layers

    def _chosen(self, documents: Iterable[AnyDocument]) -> str | None:
        """The gateway that the host's document belongs to; the loader tells where that cannot be known."""
        if self._gateway is not None:
            return self._gateway
        return _one_on(self._hostname, _hosts_of_gateways(documents))

    def _lay_over(self, documents: list[AnyDocument], over: Document, chosen: str) -> list[AnyDocument]:
        result = self._result
        result.overlay = over.file
        documents = self._uncut(documents, over)
        mine = [index for index, document in enumerate(documents) if name_of(document) == chosen]
        overlay = lay_over([_rest_of(documents[index]) for index in mine], over, chosen, self._language)
        for index, merged in zip(mine, overlay.documents, strict=True):
            document = documents[index]
            documents[index] = document.of(merged, self._language) if isinstance(document, CutDocument) else merged
        for problem in overlay.problems:
            self._problem(problem)
        result.notes |= overlay.notes
        result.names = overlay.names
        if overlay.of_files is not None:
            result.file_entries = FileEntries(overlay.of_files, chosen, self._language, result.notes)
        return [overlay.rest, *documents] if overlay.rest else documents

    def _uncut(self, documents: list[AnyDocument], over: Document) -> list[AnyDocument]:
        """Files of which the host names an entry within a long run are read as a whole."""
        spec = _spec_of(over)
        whole = {
            document.file
            for document in documents
            if isinstance(document, CutDocument)
            for marker, run in document.runs.items()
            for name in mapping_of(spec.get(run.section))
            if name in run.entries or name in (marker, f"{marker[:-1]}b")
        }
        if not whole:
            return documents
        found: list[AnyDocument] = []
        for file in dict.fromkeys(document.file for document in documents):
            if file in whole:
                found += parse(self._texts[file], file)
            else:
                found += [document for document in documents if document.file == file]
        return found

    def _variables(self, documents: Iterable[AnyDocument], over: Document | None) -> dict[str, Variable]:
        """The variables of one gateway. Of two of one name the first counts: merging the documents tells."""
        variables: dict[str, Variable] = {}
        if self._hostname is not None:
            variables[HOSTNAME] = Variable(self._hostname, None)
        for document in (*([over] if over else ()), *map(_rest_of, documents)):
            spec = _spec_of(document)
            written = mapping_of(spec.get("vars"))
            for name in written:
                path = ("spec", "vars", name)
                if name == HOSTNAME:
                    hint = "give yours another name"
                    message = f"{name!r} is the name of the host, in every spec"
                    self._problem(SpecProblem(document.find(path, key=True), dotted(path), message, hint))
                else:
                    variables.setdefault(name, Variable(written[name], document.find(path)))
        return {name: variable for name, variable in variables.items() if variable.value is not None}

    def _find_almost(self) -> None:
        """A machine that is called otherwise since it was installed must not lose what its document says."""
        host = self._hostname
        if host is None or host in self.overlays:
            return
        for name, document in self.overlays.items():
            if _may_be_one(name, host):
                path = ("metadata", "name")
                message = f"host {host!r} has no document of its own, and this one is of {name!r}"
                hint = f"call it {host}, or choose with --host; add a document for {host} if that is another machine"
                self._problem(SpecProblem(document.find(path), dotted(path), message, hint))

    def _find_sets(self) -> None:
        """What is wrong in a set is told when its document is validated; here it is any address."""
        result = self._result
        for document in result.documents:
            name = name_of(document)
            for key, written in mapping_of(_spec_of(document).get("addressSets")).items() if name else ():
                known = result.sets.setdefault(name or "", KnownSets({}))
                try:
                    found = _address_set().validate_python(written)
                    networks = found.networks
                except ValidationError:
                    found, networks = None, _WHATEVER
                if found is not None and not found.enabled:
                    known.disabled |= {key}
                else:
                    known.networks = {**known.networks, key: networks}
                    at = document.find(("spec", "addressSets", key), key=True)
                    result.places.setdefault(name or "", {}).setdefault(key, at)

    def _filled(self, document: AnyDocument, filling: Filling, is_chosen: bool) -> AnyDocument:
        """The document with its variables. Of a gateway that is not this host's, one may be missing here."""
        before = len(filling.problems)
        filled = filling.fill(_rest_of(document))
        if len(filling.problems) > before and not is_chosen:
            del filling.problems[before:]
            return _stub(_rest_of(document))
        return document.of(filled, self._language) if isinstance(document, CutDocument) else filled

    def _instead(self, name: str, there_are: Iterable[str]) -> str:
        if name == HOSTNAME:
            return "it is the name of the host, and no host is chosen: choose one with --host"
        having = [
            host
            for host, over in self.overlays.items()
            if mapping_of(_spec_of(over).get("vars")).get(name) is not None
        ]
        if having:
            this = f"this is {self._hostname}" if self._hostname else "no host is chosen"
            return f"it is set for {listed(having)}, and {this}: set it in `vars`, or choose another with --host"
        if close := nearest(name, there_are):
            return f"did you mean {close!r}?"
        return f"set it in spec.vars: `vars: {{{name}: ...}}`" if name else "write a name: ${name}"

    def _problem(self, problem: SpecProblem) -> None:
        if not self._result.problems.is_full():
            self._result.problems.append(problem)


@cache
def _address_set() -> TypeAdapter[AddressSet]:
    return TypeAdapter(SetOrNetworks)


def _hosts_of_gateways(documents: Iterable[AnyDocument]) -> dict[str, set[str]]:
    """What `spec.host` of each gateway says."""
    hosts: dict[str, set[str]] = {}
    for document in documents:
        if (name := name_of(document)) is not None:
            given = _spec_of(document).get("host") or []
            on = hosts.setdefault(name, set())
            on.update(host for host in (given if isinstance(given, list) else [given]) if isinstance(host, str))
    return hosts


def _stub(document: Document) -> Document:
    """A document of which only the gateway's name and its hosts are known."""
    spec = {key: value for key, value in _spec_of(document).items() if key == "host"}
    root = document.places
    assert isinstance(root, Branch)
    places = {key: at for key, at in root.children["spec"][1].children.items() if key == "host"}
    at, spec_places = root.children["spec"]
    children = {**root.children, "spec": (at, Branch(own_place(spec_places), places))}
    return replace(document, data={**document.data, "spec": spec}, places=Branch(root.place, children))


def _rest_of(document: AnyDocument) -> Document:
    return document.rest if isinstance(document, CutDocument) else document


def _kind_of(document: AnyDocument) -> Any:
    return document.data.get("kind") if isinstance(document.data, dict) else None


def _spec_of(document: AnyDocument) -> dict[str, Any]:
    return mapping_of(mapping_of(document.data).get("spec"))
