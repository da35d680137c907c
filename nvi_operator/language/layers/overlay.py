"""What a host says, merged over its site's documents, before anything is validated.

Mappings are merged by key and a `null` removes one (as in RFC 7396); entries of lists with names (`sourceNat`,
`routes`) are merged by name; any other value replaces the site's. What the site does not have is left over: a
document of its own, which comes first, so that rules of the host go before those of the site.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import Position, SpecProblem
from nvi_operator.language.load.merge import dotted
from nvi_operator.language.load.yaml_reader import Branch, Document, Path, Places, own_place
from nvi_operator.language.model.sections import Join, Language
from nvi_operator.language.wording import nearest, shown

_OPAQUE = "vars"  # a value is replaced as a whole, whatever it holds


class _Base:
    """One document of the site, into which the host's values go. Nothing of the original is changed."""

    def __init__(self, document: Document, file: str) -> None:
        self.document = document
        self.number = len(document.others) + 1
        self.file = file
        spec = document.data.get("spec") if isinstance(document.data, dict) else None
        self.spec: dict[str, Any] = dict(spec) if isinstance(spec, dict) else {}
        self.places: dict[str, tuple[int, Places]] = {}
        if self.spec:
            self.places = dict(document.places.children["spec"][1].children)  # type: ignore[union-attr]
        self.changed = False

    def merged(self) -> Document:
        if not self.changed:
            return self.document
        root = self.document.places
        assert isinstance(root, Branch)
        at, spec = root.children["spec"]
        places = Branch(root.place, {**root.children, "spec": (at, Branch(own_place(spec), self.places))})
        data = {**self.document.data, "spec": self.spec}
        return replace(self.document, data=data, places=places, others=(*self.document.others, self.file))


@dataclass
class Overlay:
    """The result. `names` are the entries that the host's document names, by section.

    `rest` is what the host has alone, `of_files` what may be of entries in CSV and JSON Lines files.
    """

    documents: list[Document] = field(default_factory=list)
    rest: Document | None = None
    of_files: Document | None = None
    problems: list[SpecProblem] = field(default_factory=list)
    notes: dict[Position, str] = field(default_factory=dict)
    names: dict[str, frozenset[str]] = field(default_factory=dict)


def lay_over(documents: Sequence[Document], over: Document, gateway: str, language: Language) -> Overlay:
    """`over` is a document of kind Host, `documents` are those of the gateway."""
    merging = _Merging(documents, over, language)
    merging.run()
    found = merging.result
    found.documents = [base.merged() for base in merging.bases]
    found.rest = merging.document(gateway, merging.left)
    found.of_files = merging.document(gateway, merging.of_files)
    return found


_Sections = dict[str, tuple[Any, int, Places]]  # value, place of the key, places


class _Merging:
    def __init__(self, documents: Sequence[Document], over: Document, language: Language) -> None:
        self.bases = [_Base(document, over.file) for document in documents]
        self.result = Overlay()
        self._over = over
        self._language = language
        self.left: _Sections = {}
        self.of_files: _Sections = {}

    def run(self) -> None:
        root = self._over.places
        spec = self._over.data.get("spec")
        if not isinstance(spec, dict) or not isinstance(root, Branch):
            return
        places = root.children["spec"][1].children
        for section, value in spec.items():
            at, of_value = places[section]
            self._section(section, value, at, of_value)

    def document(self, gateway: str, left: _Sections) -> Document | None:
        """What the gateway's documents do not have, as one of them."""
        if not left:
            return None
        root = self._over.places
        assert isinstance(root, Branch)
        data = {**self._over.data, "kind": "Gateway", "metadata": {"name": gateway}}
        data["spec"] = {section: value for section, (value, _, _) in left.items()}
        at, spec = root.children["spec"]
        left_places = {section: (at_section, of_section) for section, (_, at_section, of_section) in left.items()}
        places = Branch(root.place, {**root.children, "spec": (at, Branch(own_place(spec), left_places))})
        return replace(self._over, data=data, places=places, is_left=True)

    # ---------------------------------------------------------------- sections

    def _section(self, section: str, value: Any, at: int, places: Places) -> None:
        known = self._language.by_name.get(section)
        join = known.join if known else None
        if section == "host":
            hint = "write it in the gateway's own document: it says which hosts the gateway is on"
            self._problem(("spec", "host"), at, "a host cannot choose its gateway", hint)
        elif join is Join.BY_NAME and isinstance(value, dict):
            self._by_name(section, value, at, places)
        elif join is Join.IN_ORDER and isinstance(value, list):
            self._in_order(section, value, at, places)
        elif join is Join.ONCE:
            self._once(section, value, at, places)
        else:
            self._leave(section, value, at, places)

    def _by_name(self, section: str, value: dict[str, Any], at: int, places: Places) -> None:
        self.result.names[section] = frozenset(value)
        left: dict[str, Any] = {}
        left_places: dict[str, tuple[int, Places]] = {}
        value_places = _places_in(places, value)
        specs = (*(base.spec for base in self.bases), self._over.data["spec"])
        has_files = section in self._language.bulk and any(f"{section}From" in spec for spec in specs)
        for name, entry in value.items():
            at_name, of_entry = value_places[name]
            path: Path = ("spec", section, name)
            base = next((base for base in self.bases if name in mapping_of(base.spec.get(section))), None)
            if base is not None:
                self._into_mapping(base, section, name, entry, at_name, of_entry)
            elif entry is None and not has_files:
                names = [name for base in self.bases for name in mapping_of(base.spec.get(section))]
                self._nothing_to_remove(path, at_name, name, names)
            else:
                left[name], left_places[name] = entry, (at_name, of_entry)
        if left:
            found = self.of_files if has_files else self.left
            found[section] = left, at, Branch(own_place(places), left_places)

    def _into_mapping(self, base: _Base, section: str, name: str, entry: Any, at: int, places: Places) -> None:
        at_section, of_section = base.places[section]
        entries = dict(base.spec[section])
        of_entries = _places_in(of_section, entries)
        if entry is None:
            del entries[name], of_entries[name]
        elif section == _OPAQUE:
            entries[name], of_entries[name] = entry, (_moved(at, base.number), _moved(places, base.number))
        else:
            at_name, before = of_entries[name]
            path: Path = ("spec", section, name)
            entries[name], after = self._merged(base, path, entries[name], before, entry, places)
            of_entries[name] = (at_name, after)
        base.spec[section] = entries
        base.places[section] = (at_section, Branch(own_place(of_section), of_entries))
        base.changed = True

    def _in_order(self, section: str, value: list[Any], at: int, places: Places) -> None:
        left: list[Any] = []
        left_places: list[Places] = []
        value_places = places.children if isinstance(places, Branch) else [places] * len(value)
        firsts: dict[str, Position] = {}
        for index, item in enumerate(value):
            name = item.get("name") if isinstance(item, dict) else None
            if isinstance(name, str) and name in firsts:  # what was merged once has places of two documents
                message = f"{section} {shown(name)} is already defined at {firsts[name]}"
                at_item = own_place(value_places[index])
                self._problem(("spec", section, index), at_item, message, "keep one of them, or join the two")
                continue
            if isinstance(name, str):
                firsts[name] = self._over.position(own_place(value_places[index]))
            found = next(
                (
                    (base, number)
                    for base in self.bases
                    for number, other in enumerate(_list(base.spec.get(section)))
                    if name is not None and isinstance(other, dict) and other.get("name") == name
                ),
                None,
            )
            if found is None:
                left.append(item)
                left_places.append(value_places[index])
                continue
            base, number = found
            at_section, of_section = base.places[section]
            items = list(base.spec[section])
            of_items = of_section.children if isinstance(of_section, Branch) else [of_section] * len(items)
            of_items = list(of_items)
            path: Path = ("spec", section, number)
            items[number], of_items[number] = self._merged(
                base, path, items[number], of_items[number], item, value_places[index]
            )
            base.spec[section] = items
            base.places[section] = (at_section, Branch(own_place(of_section), of_items))
            base.changed = True
        if left:
            self._leave(section, left, at, Branch(own_place(places), left_places))

    def _once(self, section: str, value: Any, at: int, places: Places) -> None:
        base = next((base for base in self.bases if section in base.spec), None)
        if base is None and value is None:
            self._nothing_to_remove(("spec", section), at, section, [n for base in self.bases for n in base.spec])
        elif base is None:
            self._leave(section, value, at, places)
        elif value is None:
            del base.spec[section], base.places[section]
            base.changed = True
        else:
            at_section, before = base.places[section]
            base.spec[section], after = self._merged(
                base, ("spec", section), base.spec[section], before, value, places
            )
            base.places[section] = (at_section, after)
            base.changed = True

    def _leave(self, section: str, value: Any, at: int, places: Places) -> None:
        self.left[section] = value, at, places

    # ---------------------------------------------------------------- values

    def _merged(
        self, base: _Base, path: Path, before: Any, before_places: Places, value: Any, places: Places
    ) -> tuple[Any, Places]:
        """The value, and its places in the document of `base`."""
        was, now = base.document.position(own_place(before_places)), self._over.position(own_place(places))
        if not (isinstance(before, dict) and isinstance(value, dict)):
            self.result.notes.setdefault(now, f"in the place of {was}")
            return value, _moved(places, base.number)
        self.result.notes.setdefault(was, f"merged with {now}")
        self.result.notes.setdefault(now, f"merged over {was}")
        merged, merged_places = dict(before), _places_in(before_places, before)
        value_places = _places_in(places, value)
        for key, item in value.items():
            at, of_item = value_places[key]
            if item is None and key not in merged:
                self._nothing_to_remove((*path, key), at, key, list(merged))
            elif item is None:
                del merged[key], merged_places[key]
            elif key in merged:
                at_key, of_key = merged_places[key]
                merged[key], after = self._merged(base, (*path, key), merged[key], of_key, item, of_item)
                merged_places[key] = (at_key, after)
            else:
                merged[key], merged_places[key] = item, (_moved(at, base.number), _moved(of_item, base.number))
        return merged, Branch(own_place(before_places), merged_places)

    def _nothing_to_remove(self, path: Path, at: int, name: str, names: Sequence[str]) -> None:
        close = nearest(name, names)
        hint = f"did you mean {close!r}?" if close else "leave it out"
        self._problem(path, at, f"there is no {shown(name)} to remove in the site's spec", hint)

    def _problem(self, path: Path, at: int, message: str, hint: str) -> None:
        self.result.problems.append(SpecProblem(self._over.position(at), dotted(path), message, hint))


def mapping_of(value: Any) -> dict[str, Any]:
    """Nothing where it is none."""
    return value if isinstance(value, dict) else {}


def _places_in(places: Places, value: Mapping[str, Any]) -> dict[str, tuple[int, Places]]:
    """The places of the keys of a mapping. What a variable holds is all in one place."""
    if isinstance(places, Branch):
        return dict(places.children)
    return dict.fromkeys(value, (places, places))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _moved(places: Any, number: int) -> Any:
    """The places, in the file of that number."""
    if not isinstance(places, Branch):
        return places + (number << 64)
    children = places.children
    if isinstance(children, dict):
        moved: Any = {key: (_moved(at, number), _moved(value, number)) for key, (at, value) in children.items()}
    else:
        moved = [_moved(value, number) for value in children]
    return Branch(_moved(places.place, number), moved)
