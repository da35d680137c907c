"""What all models of the spec language have in common."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from nvi_operator.language.model.form import (
    Bounds,
    Definitions,
    Fault,
    Form,
    ValidationError,
    form_of,
    read_part,
    validated,
)

DESCRIPTION = "What it is for; for people only."
ENABLED = "false: it is checked by itself, and otherwise counts as if it were not there."

T = TypeVar("T")

REQUIRED: Any = object()  # the default of a field that has none
Check = Callable[[T], None]


class FieldInfo:
    """What a field's declaration says. As a rule of `Annotated` it sets bounds."""

    def __init__(
        self, default: Any, default_factory: Callable[[], Any] | None, alias: str, description: str, bounds: Bounds
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.alias = alias
        self.description = description
        self.bounds = bounds

    def over(self, form: Form) -> Form:
        return self.bounds.over(form) if any(bound is not None for bound in self.bounds) else form

    def get_default(self) -> Any:
        return self.default if self.default_factory is None else self.default_factory()

    def is_required(self) -> bool:
        return self.default is REQUIRED and self.default_factory is None


def Field(  # noqa: N802 -- as other libraries of models call it
    default: Any = REQUIRED,
    *,
    default_factory: Callable[[], Any] | None = None,
    alias: str = "",
    description: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A field of a model. `alias`: what it is called in YAML, where that is not its name in camelCase."""
    return FieldInfo(default, default_factory, alias, description, Bounds(ge, gt, le, lt))


class ModelField:
    """A field of a class, whose type is looked up when a value is read."""

    def __init__(self, model: type, attribute: str, written: str) -> None:
        self.attribute = attribute
        self._model = model
        self._written = written

    @cached_property
    def hint(self) -> Any:
        return eval(self._written, vars(sys.modules[self._model.__module__]))

    @cached_property
    def annotation(self) -> Any:
        """The type without rules."""
        return get_args(self.hint)[0] if get_origin(self.hint) is Annotated else self.hint

    @cached_property
    def info(self) -> FieldInfo:
        """In a model it is the default, in a dataclass it is in the type."""
        given = vars(self._model).get(self.attribute, REQUIRED)
        if isinstance(given, FieldInfo):
            return given
        if not issubclass(self._model, Bulk):
            return FieldInfo(given, None, "", "", Bounds())
        found = next((rule for rule in get_args(self.hint) if isinstance(rule, FieldInfo)), Field())
        model: Any = self._model
        default = model.__dataclass_fields__[self.attribute].default
        default = REQUIRED if default is dataclasses.MISSING else default
        return FieldInfo(default, None, found.alias, found.description, found.bounds)

    @cached_property
    def form(self) -> Form:
        return self.info.over(form_of(self.hint))

    @property
    def name(self) -> str:
        """In YAML."""
        return self.info.alias or camel(self.attribute)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Readable:
    """What the fields of a class say, for all that reads them."""

    __slots__ = ()

    @classmethod
    def form(cls) -> Form:
        return Form(partial(_read, cls), partial(_describe, cls), _write)


class Bulk(Readable):
    """A dataclass, for entries of which there may be very many: it has no more than its slots.

    A field is declared in `Annotated`, and what one field cannot see is in `__post_init__`.
    """

    __slots__ = ()


class Model(Readable):
    """Frozen, camelCase in YAML, no unknown fields, and no value that would have to be converted."""

    def __init__(self, /, **written: Any) -> None:
        """Made of what is written in YAML, or of what that stands for. Raises ValidationError."""
        self._fill(written, None)

    def _fill(self, written: Mapping[str, Any], context: Any) -> None:
        vars(self).update(_defaults(type(self)) | _values(type(self), written, context))
        for name in _checks(type(self)):
            getattr(self, name)()

    @classmethod
    def model_validate(cls, value: Any, context: Any = None) -> Self:
        """Made of what is written. `context`: what is known beside it. Raises ValidationError."""
        found: Self = validated(cls.form(), value, context)
        return found

    @classmethod
    def model_construct(cls, **values: Any) -> Self:
        """Made of valid values, by their names in Python."""
        made = cls.__new__(cls)
        vars(made).update(_defaults(cls) | values)
        return made

    def model_copy(self, update: Mapping[str, Any]) -> Self:
        return self.model_construct(**{**vars(self), **update})

    def model_dump(self) -> dict[str, Any]:
        """The data as YAML could have it: what is None is left out."""
        return _write(self)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def checked(method: Check[T]) -> Check[T]:
    """A method of a model that raises ValueError where its values do not go together."""
    method.is_check = True  # type: ignore[attr-defined]
    return method


class Entry(Model):
    """One of several of a section."""

    description: str = Field("", description=DESCRIPTION)
    enabled: bool = Field(True, description=ENABLED)


# --------------------------------------------------------------------------- what a class declares


_FIELDS: dict[type, Mapping[str, ModelField]] = {}  # of each class that was asked for


def fields_of(model: type[Readable]) -> Mapping[str, ModelField]:
    """The fields, by the names that they have in YAML; those of the last base first."""
    if model not in _FIELDS:
        found: dict[str, ModelField] = {}
        for base in reversed(model.__mro__):
            for attribute, written in vars(base).get("__annotations__", {}).items():
                found[attribute] = ModelField(base, attribute, written)
        _FIELDS[model] = {field.name: field for field in found.values()}
    return _FIELDS[model]


def attributes_of(model: type[Readable]) -> Mapping[str, str]:
    """What the fields are called in Python, by the names that they have in YAML."""
    return {name: field.attribute for name, field in fields_of(model).items()}


def _checks(model: type[Model]) -> Iterable[str]:
    names = (name for base in reversed(model.__mro__) for name, it in vars(base).items() if hasattr(it, "is_check"))
    return dict.fromkeys(names)


def is_model(item: Any) -> bool:
    """Is it a class of the spec language?"""
    return isinstance(item, type) and issubclass(item, Readable)


def model_of(annotation: Any) -> Any:
    """The class of the spec language that an annotation is about, which may have short forms; None: of none."""
    found = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return found if is_model(found) else None


# --------------------------------------------------------------------------- forms


def _read(model: Any, value: Any, context: Any) -> Any:
    if isinstance(value, model):
        return value
    if not isinstance(value, dict):
        raise ValidationError([Fault("type", (), value, "a mapping")])
    try:
        if issubclass(model, Bulk):
            return model(**_values(model, value, context))
        made = model.__new__(model)
        made._fill(value, context)
    except ValidationError:
        raise
    except ValueError as error:
        raise ValidationError([Fault("value", (), value, error)]) from error
    return made


def _values(model: type[Readable], written: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The values of the fields that are given, by their names in Python."""
    known = fields_of(model)
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for name, field in known.items():
        if name in written:
            found[field.attribute] = read_part(field.form, written[name], context, (name,), faults)
        elif field.info.is_required():
            faults.append(Fault("missing", (name,), written))
    faults += (Fault("unknown", (name,), value) for name, value in written.items() if name not in known)
    if faults:
        raise ValidationError(faults)
    return found


def _defaults(model: type[Readable]) -> dict[str, Any]:
    known = fields_of(model).values()
    return {field.attribute: field.info.get_default() for field in known if not field.info.is_required()}


def _write(entry: Any) -> dict[str, Any]:
    values = ((name, field, getattr(entry, field.attribute)) for name, field in fields_of(type(entry)).items())
    return {name: field.form.write(value) for name, field, value in values if value is not None}


def _describe(model: type[Readable], models: Definitions) -> dict[str, Any]:
    from inspect import cleandoc

    if model.__name__ not in models:
        models[model.__name__] = {}  # it may be in itself
        fields = fields_of(model)
        required = [name for name, field in fields.items() if field.info.is_required()]
        models[model.__name__] = {
            "type": "object",
            **({"description": cleandoc(model.__doc__)} if model.__doc__ else {}),
            "properties": {name: _described(field, models) for name, field in fields.items()},
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{model.__name__}"}


def _described(field: ModelField, models: Definitions) -> dict[str, Any]:
    info = field.info
    has_default = not info.is_required() and info.default_factory is None
    return {
        **field.form.describe(models),
        **({"description": info.description} if info.description else {}),
        **({"default": [] if info.default == () else info.default} if has_default else {}),
    }
