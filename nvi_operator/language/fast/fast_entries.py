"""Entries built from fields that are validated one by one, each text once: many entries repeat the same texts.

Equal to what pydantic makes of the same entry, by construction: the validators of the fields are pydantic's, and what
one field cannot see is in the model's `__post_init__`. Anything wrong is only refused here, with any exception; the
caller then lets pydantic describe it, with its place (`load/validation_messages.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache, partial
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from nvi_operator.language.model.address_sets import KnownSets
from nvi_operator.language.model.base import attributes_of, fields_of

MOST = 1 << 14  # texts remembered of one field: enough for what repeats, and little beside 100,000 that do not

# What building an entry may raise: an unknown field, one that is missing, a value that is none.
WRONG = (KeyError, TypeError, ValueError)


class Absent(ValueError):  # noqa: N818  -- raised by `read`: nothing is written here
    """The field is left out."""


class _Field(dict[str, Any]):
    """One field: text as written -> validated value."""

    def __init__(self, validate: Callable[[Any], Any], read: Callable[[str], Any], default: Any) -> None:
        super().__init__()
        self.validate = validate
        self._read = read
        self._default = default
        self._wrong: set[str] = set()

    def __missing__(self, text: str) -> Any:
        if text in self._wrong:
            raise ValueError("wrong, as it was before")
        if len(self) >= MOST:
            self.clear()
        try:
            value = self.validate(self._read(text))
        except Absent:
            if self._default is MISSING:
                raise
            value = self._default
        except WRONG:
            if len(self._wrong) < MOST:
                self._wrong.add(text)
            raise
        self[text] = value
        return value


class _Read(NamedTuple):
    """How a field is read."""

    attribute: str
    validate: Callable[..., Any]
    default: Any


@cache
def _reads(model: Any) -> Mapping[str, _Read]:
    """The fields of a model, by name; making the validators takes longer than reading ten entries."""
    attributes = attributes_of(model)
    defaults = {item.name: item.default for item in fields(model)}
    return {
        name: _Read(attributes[name], _validator(info), defaults[attributes[name]])
        for name, info in fields_of(model).items()
    }


def _validator(info: FieldInfo) -> Callable[..., Any]:
    hint: Any = info.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[(hint, *info.metadata)] if info.metadata else hint)
    return adapter.validator.validate_python


class Builder:
    """Builds entries of one model. `read` makes of a text, as it is written, what it would be in YAML; of another
    field than the others it may be another function (`reads`).
    """

    def __init__(
        self,
        model: type[Any],
        read: Callable[[str], Any],
        reads: Mapping[str, Callable[[str], Any]] | None = None,
        *,
        sets: KnownSets | None = None,
    ) -> None:
        known = _reads(model)  # type: ignore[arg-type]
        self._model: Callable[..., Any] = model
        self._attributes = {name: item.attribute for name, item in known.items()}
        readers = {name: (reads or {}).get(name, read) for name in known}
        self._fields = {
            name: _Field(partial(item.validate, context=sets) if sets else item.validate, readers[name], item.default)
            for name, item in known.items()
        }

    def build(self, values: Collection[tuple[str, Any]]) -> Any:
        """An entry of its fields by name. Raises one of WRONG."""
        known, attributes = self._fields, self._attributes
        given = {
            attributes[name]: known[name][value] if type(value) is str else known[name].validate(value)
            for name, value in values
        }
        if len(given) < len(values):
            raise ValueError("a field appears twice")
        return self._model(**given)

    def of_columns(self, columns: Iterable[tuple[str, int]]) -> Callable[[list[str]], Any]:
        """The entries from rows of a table, of which each column is (field, index)."""
        model = self._model
        plan = [(self._attributes[name], self._fields[name], index) for name, index in columns]

        def build(cells: list[str]) -> Any:
            return model(**{attribute: field[cells[index]] for attribute, field, index in plan})

        return build
