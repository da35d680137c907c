"""What a host says of entries in CSV and JSON Lines files. These are read last, when the rest is validated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nvi_operator.errors import Position, SpecProblem, SpecProblems
from nvi_operator.language.layers.overlay import lay_over
from nvi_operator.language.load.entries import EntryFile
from nvi_operator.language.load.merge import Part, dotted
from nvi_operator.language.load.yaml_documents import name_of, validated
from nvi_operator.language.load.yaml_reader import Branch, Document, own_place
from nvi_operator.language.model.address_sets import KnownSets
from nvi_operator.language.model.sections import Language
from nvi_operator.language.wording import shown


class FileEntries:
    """What is left of a host's document for entries that its gateway's YAML does not have. Use it for one load.

    `notes` get the places of what is merged.
    """

    def __init__(self, over: Document, gateway: str, language: Language, notes: dict[Position, str]) -> None:
        self._over = over
        self.gateway = gateway
        self._language = language
        self._notes = notes
        self._left: dict[str, dict[str, Any]] = {s: dict(entries) for s, entries in over.data["spec"].items()}

    def over(self, part: Part, sets: KnownSets | None, problems: SpecProblems) -> list[Part]:
        """The entries of a file, without those that the host removes, and with those that it changes."""
        source = part.source
        if part.name != self.gateway or not isinstance(source, EntryFile):
            return [part]
        ((section, found),) = part.sections.items()
        left = self._left.get(section, {})
        if not (mine := {name: left.pop(name) for name in [name for name in left if name in found]}):
            return [part]
        others = {name: entry for name, entry in found.items() if name not in mine}
        parts = [replace(part, sections={section: others})]
        for name in [name for name, entry in mine.items() if entry is not None]:
            row = source.document_of(name)
            overlay = lay_over([row], self._only(section, [name]), self.gateway, self._language)
            problems += overlay.problems
            self._notes |= overlay.notes
            merged = validated(overlay.documents, problems, self._language, {name_of(row) or "": sets or KnownSets()})
            parts += [replace(entry, name=self.gateway) for entry in merged]
        return parts

    def rest(self, sets: KnownSets | None, problems: SpecProblems) -> list[Part]:
        """What no file has: entries of the host alone."""
        parts: list[Part] = []
        for section, left in self._left.items():
            for name in [name for name, entry in left.items() if entry is None]:
                path = ("spec", section, name)
                message = f"there is no {shown(name)} to remove in the site's spec"
                problems.append(SpecProblem(self._over.find(path, key=True), dotted(path), message, "leave it out"))
            if names := [name for name, entry in left.items() if entry is not None]:
                document = self._only(section, names)
                parts += validated([document], problems, self._language, {self.gateway: sets or KnownSets()})
        return parts

    def _only(self, section: str, names: list[str]) -> Document:
        """The host's document with these entries alone."""
        over = self._over
        assert isinstance(over.places, Branch)
        at, spec = over.places.children["spec"]
        assert isinstance(spec, Branch)
        at_section, entries = spec.children[section]
        places = Branch(own_place(entries), {name: entries.children[name] for name in names})
        of_spec = Branch(spec.place, {section: (at_section, places)})
        whole = Branch(over.places.place, {**over.places.children, "spec": (at, of_spec)})
        data = {**over.data, "spec": {section: {name: over.data["spec"][section][name] for name in names}}}
        return replace(over, data=data, places=whole)
