"""The sections of a spec. Loading, merging, reloading, the reference, the schema and the counts of `validate` read
them from here.

A new section is a field of `GatewaySpec` and one `Section` in `SECTIONS`: a `Language` refuses the one without the
other. What its entries must be among each other belongs to `language/check/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from typing import Any, cast, get_args, get_origin

from nvi_operator.dataclass import dataclass
from nvi_operator.language.model.base import attributes_of, fields_of, is_model, model_of
from nvi_operator.language.model.gateway import Gateway, GatewaySpec
from nvi_operator.language.model.nat_entries import Forward, Static, TwiceNat


class Join(Enum):
    """How a section that several documents have becomes one."""

    BY_NAME = "a mapping: no two documents may have the same name"
    IN_ORDER = "a list of entries with names, in the order of files and documents"
    ONCE = "one document may have it"


_JOINS: Mapping[Any, Join] = {dict: Join.BY_NAME, tuple: Join.IN_ORDER}


@dataclass(frozen=True)
class Section:
    """One field of `GatewaySpec`, by its name in YAML.

    `entry` and `entries` are what one and several of its entries are called in counts. `bulk` is the model of its
    entries where files beside the YAML may have more of them (`NAMEFrom`): a dataclass, because there may be 100,000.
    `incremental`: an edit of a few entries is followed without reading the rest (`language/fast/incremental.py`).
    `independent`: a spec without one of its entries is as valid as before, so that it is checked without a wrong one.
    """

    name: str
    join: Join
    entry: str = ""
    entries: str = ""
    bulk: type[Any] | None = None
    incremental: bool = False
    independent: bool = False

    @property
    def files(self) -> str:
        """The field that names the files with more entries, of a section with `bulk`."""
        return f"{self.name}From"


@dataclass(frozen=True)
class Language:
    """A document model and its sections, in the order in which the reference and counts have them.

    Raises TypeError where the fields of the spec and the sections do not agree.
    """

    document: type[Gateway]
    sections: tuple[Section, ...]

    def __post_init__(self) -> None:
        fields = fields_of(self.spec)
        names = [name for s in self.sections for name in ((s.name, s.files) if s.bulk else (s.name,))]
        for name in sorted(fields.keys() - set(names)):
            raise TypeError(f"{self.spec.__name__}: field {name!r} has no Section: add one to SECTIONS")
        for name in names:
            if name not in fields:
                raise TypeError(f"section {name!r} is not a field of {self.spec.__name__}")
            if names.count(name) > 1:
                raise TypeError(f"section {name!r} is declared twice")
        for section in self.sections:
            self._check(section, fields[section.name].annotation)

    def _check(self, section: Section, annotation: Any) -> None:
        join = _JOINS.get(get_origin(annotation), Join.ONCE)
        if section.join is not join:
            raise TypeError(f"section {section.name!r}: its field joins {join.name}, and not {section.join.name}")
        if section.join is not Join.ONCE and not (section.entry and section.entries):
            raise TypeError(f"section {section.name!r}: name one entry and several")
        models = [model for item in get_args(annotation) if (model := model_of(item))]
        if section.join is Join.IN_ORDER and not all("name" in fields_of(model) for model in models):
            raise TypeError(f"section {section.name!r}: entries of a list are told apart by a field `name`")
        if section.bulk and (section.join is not Join.BY_NAME or models != [section.bulk]):
            raise TypeError(f"section {section.name!r}: its entries are no mapping of {section.bulk.__name__}")

    @property
    def spec(self) -> type[GatewaySpec]:
        """The model of `spec`."""
        found: Any = self.document.model_fields["spec"].annotation
        return cast(type[GatewaySpec], found)

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """What each field of the spec is called in Python, by its name in YAML."""
        return attributes_of(self.spec)

    @cached_property
    def by_name(self) -> Mapping[str, Section]:
        return {section.name: section for section in self.sections}

    @cached_property
    def bulk(self) -> Mapping[str, type[Any]]:
        """The models of the sections whose entries may be very many."""
        return {section.name: section.bulk for section in self.sections if section.bulk}

    @cached_property
    def files(self) -> Mapping[str, str]:
        """The fields that name files of entries, and the section of each."""
        return {section.files: section.name for section in self.sections if section.bulk}

    @cached_property
    def switched(self) -> frozenset[str]:
        """The sections whose entries may be disabled."""
        fields = fields_of(self.spec)
        entries = {s.name: get_args(fields[s.name].annotation) for s in self.sections if s.join is not Join.ONCE}
        return frozenset(
            name
            for name, arguments in entries.items()
            if any("enabled" in fields_of(model) for model in map(model_of, arguments) if model)
        )

    @cached_property
    def field_names(self) -> frozenset[str]:
        """Every field of the language, wherever it belongs."""
        names: set[str] = set()
        todo: list[Any] = [self.document]
        while todo:
            annotation = todo.pop()
            if is_model(annotation):
                names |= fields_of(annotation).keys()
                todo += (field.annotation for field in fields_of(annotation).values())
            else:
                todo += get_args(annotation)
        return frozenset(names)

    def counts(self, spec: GatewaySpec) -> dict[str, int]:
        """How many entries each section has, by its name in YAML."""
        counted = (section for section in self.sections if section.join is not Join.ONCE)
        return {section.name: len(getattr(spec, self.attributes[section.name])) for section in counted}

    def counts_text(self, spec: GatewaySpec) -> str:
        """The counts for people: `2 uplinks, 1 forward`."""
        named = ((self.by_name[name], count) for name, count in self.counts(spec).items() if count)
        return ", ".join(f"{count} {section.entry if count == 1 else section.entries}" for section, count in named)


SECTIONS = (
    Section("host", Join.ONCE),
    Section("vars", Join.BY_NAME, "variable", "variables"),
    Section("addressSets", Join.BY_NAME, "address set", "address sets"),
    Section("interfaces", Join.BY_NAME, "interface", "interfaces"),
    Section("uplinks", Join.BY_NAME, "uplink", "uplinks"),
    Section("defaultUplink", Join.ONCE),
    Section("strandedFlows", Join.ONCE),
    Section("failback", Join.ONCE),
    Section("drift", Join.ONCE),
    Section("sourceNat", Join.IN_ORDER, "sourceNat", "sourceNat", independent=True),
    Section("forwards", Join.BY_NAME, "forward", "forwards", bulk=Forward, incremental=True, independent=True),
    Section("redirects", Join.BY_NAME, "redirect", "redirects", independent=True),
    Section("static", Join.BY_NAME, "static", "static", bulk=Static, independent=True),
    Section("prefixNat", Join.BY_NAME, "prefixNat", "prefixNat", independent=True),
    Section("twiceNat", Join.BY_NAME, "twiceNat", "twiceNat", bulk=TwiceNat, independent=True),
    Section("routes", Join.IN_ORDER, "route", "routes", independent=True),
    Section("checks", Join.BY_NAME, "check", "checks", independent=True),
    Section("protect", Join.ONCE),
    Section("assert", Join.IN_ORDER, "assertion", "assertions", independent=True),
    Section("guards", Join.ONCE),
    Section("dataplane", Join.ONCE),
    Section("numbers", Join.ONCE),
)

LANGUAGE = Language(Gateway, SECTIONS)
