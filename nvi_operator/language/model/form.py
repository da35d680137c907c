"""How a value of the spec language is read, written, and described in JSON Schema: a `Form`, made of its type.

A type is what Python has, and in `Annotated` with rules, of which each makes another form of the one before it:
`Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]`. A form is made when the first such value is read: most
specs have none of most sections (docs/adr/0040-models.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from nvi_operator.language.wording import shown

Place = tuple[str | int, ...]
Read = Callable[[Any, Any], Any]  # a value as it is written, and what is known beside it (`KnownSets`)
Handler = Callable[[Any], Any]
Definitions = dict[str, dict[str, Any]]  # of models, by name, in JSON Schema

KEY = "[key]"  # behind the place of a value whose key is wrong


class Fault(NamedTuple):
    """What is wrong with one value.

    `kind`: type, word (which it is none of), choice (a word, as one of several forms), least, most, missing, unknown
    (of fields), value. `about` is what was expected, or for `value` the error.
    """

    kind: str
    at: Place
    given: Any
    about: Any = None


class ValidationError(ValueError):
    """Everything that is wrong with a value, by places in it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{'.'.join(map(str, each.at))}: {sentence(each)}" for each in self.faults))


def sentence(fault: Fault) -> str:
    """What is wrong, without the place."""
    match fault.kind:
        case "word" | "choice":
            return f"{shown(fault.given)} is none of {fault.about}"
        case "least":
            return f"{shown(fault.given)} is too small: {fault.about}"
        case "most":
            return f"{shown(fault.given)} is too large: {fault.about}"
        case "type":
            return f"expected {fault.about}, found {shown(fault.given)}"
        case "missing":
            return f"{fault.at[-1]} is missing"
        case "unknown":
            return f"there is no field {shown(fault.at[-1])}"
    return str(fault.about)


def as_written(value: Any) -> Any:
    return value


class Form(NamedTuple):
    """`read` raises ValueError, or ValidationError for what is wrong inside."""

    read: Read
    describe: Callable[[Definitions], dict[str, Any]]
    write: Callable[[Any], Any] = as_written


def read_part(form: Form, value: Any, context: Any, at: Place, faults: list[Fault]) -> Any:
    """A value inside another one; what is wrong with it is added to `faults`."""
    try:
        return form.read(value, context)
    except ValidationError as error:
        faults += (each._replace(at=at + each.at) for each in error.faults)
    except ValueError as error:
        faults.append(Fault("value", at, value, error))
    return None


def validated(form: Form, value: Any, context: Any = None) -> Any:
    """Raises ValidationError."""
    faults: list[Fault] = []
    found = read_part(form, value, context, (), faults)
    if faults:
        raise ValidationError(faults)
    return found


def of_type(cls: type | tuple[type, ...], expected: str, described: Mapping[str, Any]) -> Form:
    """Values of a class, as they are; `true` is no number."""

    def read(value: Any, context: Any) -> Any:
        if not isinstance(value, cls) or (value.__class__ is bool and cls is not bool):
            raise ValidationError([Fault("type", (), value, expected)])
        return value

    return Form(read, lambda _: dict(described))


# --------------------------------------------------------------------------- of types

_NUMBER = of_type((int, float), "a number", {"type": "number"})
_SIMPLE: Mapping[Any, Form] = {
    str: of_type(str, "text", {"type": "string"}),
    bool: of_type(bool, "true or false", {"type": "boolean"}),
    int: of_type(int, "a whole number", {"type": "integer"}),
    float: _NUMBER._replace(read=lambda value, context: float(_NUMBER.read(value, context))),
    Any: Form(lambda value, _: value, lambda _: {}),
}


def form_of(hint: Any) -> Form:
    """The form of a type; a model says itself how it is read."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        form = form_of(arguments[0])
        for rule in arguments[1:]:
            form = rule.over(form)
        return form
    if origin is Literal:
        return _of_words(arguments)
    if origin is tuple:
        return several(form_of(arguments[0]))
    if origin is dict:
        return _mapping(*map(form_of, arguments))
    if origin in (Union, UnionType):
        return _one_of([form_of(each) for each in arguments if each is not NoneType], NoneType in arguments)
    if hasattr(hint, "form"):
        made: Form = hint.form()
        return made
    return of_type(hint, hint.__name__, {})._replace(write=str)


def _of_words(words: tuple[str, ...]) -> Form:
    quoted = [repr(word) for word in words]
    expected = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)

    def read(value: Any, context: Any) -> Any:
        if not isinstance(value, str) or value not in words:
            raise ValidationError([Fault("word", (), value, expected)])
        return value

    described: dict[str, Any] = {"enum": list(words)} if len(words) > 1 else {"const": words[0]}
    return Form(read, lambda _: {**described, "type": "string"})


def several(item: Form) -> Form:
    def read(value: Any, context: Any) -> Any:
        if not isinstance(value, tuple | list):
            raise ValidationError([Fault("type", (), value, "a list")])
        faults: list[Fault] = []
        found = tuple(read_part(item, each, context, (number,), faults) for number, each in enumerate(value))
        if faults:
            raise ValidationError(faults)
        return found

    return Form(
        read,
        lambda models: {"type": "array", "items": item.describe(models)},
        lambda values: [item.write(value) for value in values],
    )


def _mapping(key: Form, item: Form) -> Form:
    def read(value: Any, context: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError([Fault("type", (), value, "a mapping")])
        faults: list[Fault] = []
        found = {
            read_part(key, name, context, (name, KEY), faults): read_part(item, each, context, (name,), faults)
            for name, each in value.items()
        }
        if faults:
            raise ValidationError(faults)
        return found

    def describe(models: Definitions) -> dict[str, Any]:
        names = key.describe(models)
        pattern, kind = names.pop("pattern", None), names.pop("type", None)
        node: dict[str, Any] = {"type": "object"}
        if pattern:
            node["patternProperties"] = {pattern: item.describe(models)}
        else:
            node["additionalProperties"] = item.describe(models) or True
        return {**node, "propertyNames": names} if kind and names else node

    return Form(read, describe, lambda values: {key.write(name): item.write(value) for name, value in values.items()})


def _one_of(forms: list[Form], may_be_none: bool) -> Form:
    """The first form that a value has. A field that may be left out is None then, and never written so (`Maybe`)."""

    def read(value: Any, context: Any) -> Any:
        if value is None and may_be_none:
            return None
        if len(forms) == 1:
            return forms[0].read(value, context)
        faults: list[Fault] = []
        for form in forms:
            found: list[Fault] = []
            result = read_part(form, value, context, (), found)
            if not found:
                return result
            faults += (each._replace(kind="choice") if each[:2] == ("word", ()) else each for each in found)
        raise ValidationError(faults)

    def describe(models: Definitions) -> dict[str, Any]:
        found = [form.describe(models) for form in forms]
        return found[0] if len(found) == 1 else {"anyOf": found}

    def write(value: Any) -> Any:
        if value is None:
            return None
        if len(forms) > 1 and not isinstance(value, tuple):  # a word, or true
            return value
        return next(form for form in forms if len(forms) == 1 or form.write is not as_written).write(value)

    return Form(read, describe, write)


# --------------------------------------------------------------------------- rules


class BeforeValidator:
    """What was written goes through a function first."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def over(self, form: Form) -> Form:
        inner, function = form.read, self._function
        return form._replace(read=lambda value, context: inner(function(value), context))


class WrapValidator:
    """A function, which is given what would read the value without it."""

    def __init__(self, function: Callable[[Any, Handler], Any]) -> None:
        self._function = function

    def over(self, form: Form) -> Form:
        inner, function = form.read, self._function
        return form._replace(read=lambda value, context: function(value, lambda given: inner(given, context)))


class PlainValidator:
    """A function alone."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def over(self, form: Form) -> Form:
        function = self._function
        return form._replace(read=lambda value, _: function(value))


class ContextValidator:
    """A function alone, which is given what is known beside the value."""

    def __init__(self, function: Read) -> None:
        self._function = function

    def over(self, form: Form) -> Form:
        return form._replace(read=self._function)


class PlainSerializer:
    """How the value is written."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def over(self, form: Form) -> Form:
        return form._replace(write=self._function)


class WithJsonSchema:
    """How the value is described."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema

    def over(self, form: Form) -> Form:
        return form._replace(describe=lambda _: dict(self._schema))


class OrShort:
    """How the value is described that may also be written in a shorter form."""

    def __init__(self, *forms: dict[str, Any]) -> None:
        self._forms = forms

    def over(self, form: Form) -> Form:
        return form._replace(describe=lambda models: {"anyOf": [*self._forms, form.describe(models)]})


class Bounds(NamedTuple):
    """The bounds of a number."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def over(self, form: Form) -> Form:
        """A number that is none (`.nan`) is in no bounds."""

        def read(value: Any, context: Any) -> Any:
            number = form.read(value, context)
            if number is None:
                return None
            if (self.ge is not None and not number >= self.ge) or (self.gt is not None and not number > self.gt):
                least = f"at least {self.ge}" if self.ge is not None else f"more than {self.gt}"
                raise ValidationError([Fault("least", (), value, least)])
            if (self.le is not None and not number <= self.le) or (self.lt is not None and not number < self.lt):
                most = f"at most {self.le}" if self.le is not None else f"less than {self.lt}"
                raise ValidationError([Fault("most", (), value, most)])
            return number

        words = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
        bounds = {word: bound for word, bound in zip(words, self, strict=True) if bound is not None}
        return form._replace(read=read, describe=lambda models: {**form.describe(models), **bounds})
