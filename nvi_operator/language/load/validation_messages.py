"""pydantic's errors in the words of the spec language, each with its place and a hint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any, Protocol, get_args, get_origin

from pydantic import BaseModel, ValidationError

from nvi_operator.errors import Position, SpecProblem
from nvi_operator.language.load.merge import dotted
from nvi_operator.language.load.yaml_reader import Path
from nvi_operator.language.model.base import fields_of, is_model, model_of
from nvi_operator.language.model.host import FOLDER
from nvi_operator.language.other_words import field_instead
from nvi_operator.language.wording import AS_A_LIST, HintedError, nearest, short, shown

_YAML_1_1_BOOLEANS = {"yes", "no", "on", "off", "y", "n"}
_TYPES = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_TO_ADD = {"apiVersion": "apiVersion: nvi-operator/v1", "metadata": "metadata: {name: ...}"}
_WEIGHTED = ("pool", "uplinks", "to")  # fields of sourceNat and forwards that take a mapping of value to weight
_NO_TEXT = ("found a mapping", "found a list")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
# (part of the sentence, what to do)
_HINTS = (
    ("is not a name", "names become nft identifiers: lower-case letters, digits and '-' only"),
    ("interface name", "see the names in `ip link`"),
    ("not an IPv4 or IPv6 address", "write an address such as 192.0.2.1 or 2001:db8::1"),
    ("equal size", "make both ranges cover as many ports"),
    ("not of the same size", "give both the same prefix length"),
    ("mixes IPv4 and IPv6", "keep to one of them"),
    ("mix IPv4 and IPv6", "write one entry for each"),
    ("not a port", "ports are numbers from 1 to 65535"),
    ("ports are 1 to", "write a number from 1 to 65535"),
    ("runs backwards", "write the smaller one first"),
    ("not a prefix", "write an address and its prefix length, as in 192.0.2.0/24"),
)


class Root(Protocol):
    """A language, by the model of its document."""

    @property
    def document(self) -> type[BaseModel]: ...


class Written(Protocol):
    """What was validated, and where it is written."""

    @property
    def data(self) -> Any: ...

    def find(self, path: Path, *, key: bool = False) -> Position: ...


def explained(
    document: Written, error: ValidationError, language: Root, *, several: str = AS_A_LIST
) -> Iterator[SpecProblem]:
    """One problem for each wrong value of the document. `several`: how a field has several values there."""
    found: dict[Path, Any] = {}
    words: dict[Path, str] = {}
    for item in error.errors(include_url=False):
        path = _written(document, item)
        if _is_choice(item):
            words[path] = str(item["ctx"]["expected"]).strip("'")  # one of several forms: named with the others
        found.setdefault(path, item)
        if _is_choice(found[path]):
            found[path] = item
    # A field under another name is one mistake, although it is missing as well.
    meant = {(*path[:-1], _meant(path, language)) for path, item in found.items() if item["type"] in _UNKNOWN}
    for path, item in found.items():
        if item["type"] == "missing" and path in meant:
            continue
        if _is_choice(item) and any(len(p) > len(path) and p[: len(path)] == path for p in found):
            continue
        message, hint = _sentence(item, path, language)
        if isinstance(item["input"], str) and "${" in item["input"]:
            hint = "write the value: variables are filled in in YAML only, in the spec of a gateway or a host"
        if item["type"] == "value_error" and (weights := _weights(item["input"])):
            hint = _instead_of_weights(_type_at(_field(path), language), _field(path), weights) or hint
        elif (
            item["type"] == "value_error" and _has_comma(item["input"]) and _is_list(_type_at(_field(path), language))
        ):
            hint = several
        if item["type"] == "missing" and getattr(document, "is_left", False):
            hint += "; the site's spec has no entry of this name, which it would change"
        elif item["type"] == "missing" and PurePath(document.find(path).file).parent.name == FOLDER:
            hint += "; what changes it for one host is a document of kind Host"
        word = next((words[path[:n]] for n in range(len(path), 0, -1) if path[:n] in words), "")
        if word and not _is_choice(item):
            hint = f"write {word}, or an address such as 192.0.2.1 or 2001:db8::1"
        # In the short forms (`to: 192.0.2.1`) what pydantic takes for a key was written as a value.
        wrong_key = item["loc"][-1:] == ("[key]",) and item["loc"][-2:-1] == path[-1:]
        on_key = wrong_key or item["type"] in _UNKNOWN
        yield SpecProblem(document.find(path, key=on_key), dotted(path), message, hint)


def _has_comma(given: Any) -> bool:
    """No single value has one."""
    return isinstance(given, str) and "," in given


def _weights(given: Any) -> dict[str, Any]:
    """What was meant as values with weights: a mapping, or a list of mappings."""
    written = given if isinstance(given, list) else [given]
    if not written or not all(isinstance(part, dict) for part in written):
        return {}
    weights = {str(name): weight for part in written for name, weight in part.items()}
    return weights if all(type(weight) is int for weight in weights.values()) else {}


def _instead_of_weights(annotation: Any, field: Path, weights: dict[str, Any]) -> str:
    name = str(field[-1]) if field else ""
    if name == "as" and "sourceNat" in field:
        name = "pool" if any(sign in next(iter(weights)) for sign in ".:/") else "uplinks"
    if name in _WEIGHTED:
        pairs = ", ".join(f"{_key(value)}: {shown(weight)}" for value, weight in list(weights.items())[:2])
        return f"write values and weights as one mapping: `{name}: {{{pairs}{', ...' if len(weights) > 2 else ''}}}`"
    return f"{name} takes no weights: write [{', '.join(list(weights)[:3])}]" if _is_list(annotation) else ""


def _key(text: str) -> str:
    return f'"{short(text)}"' if ":" in text else short(text)


def _is_choice(item: Any) -> bool:
    """A word that is one member of a union, as `auto` is beside addresses."""
    return bool(item["type"] == "literal_error" and str(item["loc"][-1]).startswith("literal["))


def _written(document: Written, item: Any) -> Path:
    """The path in the document: pydantic adds names of union members and validators to it."""
    path: list[str | int] = []
    value: Any = document.data
    loc: Sequence[str | int] = item["loc"]
    for number, step in enumerate(loc):
        inside = (
            step in value
            if isinstance(value, dict)
            else isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value)
        )
        if inside:
            path.append(step)
            value = value[step]
        elif isinstance(value, list) and isinstance(step, str) and step in value:
            path.append(value.index(step))  # a list that is short for a mapping
            value = step
        elif item["type"] == "missing" and number == len(loc) - 1:
            path.append(step)
    return tuple(path)


def _sentence(item: Any, path: Path, language: Root) -> tuple[str, str]:
    kind, given, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind in _UNKNOWN:
        return _unknown(path, language)
    if kind == "missing":
        name = str(path[-1])
        return f"{name} is missing", f"add `{_to_add(name, language)}` here"
    if kind == "literal_error":
        return f"{shown(given)} is none of {context['expected']}", _word_hint(given, context["expected"])
    if kind == "value_error":
        return str(context["error"]), _value_hint(context["error"])
    if kind == "greater_than_equal":
        return f"{shown(given)} is too small: at least {context['ge']}", "choose a larger number"
    if kind == "less_than_equal":
        return f"{shown(given)} is too large: at most {context['le']}", "choose a smaller number"
    expected = _TYPES.get(kind)
    if expected:
        return f"expected {expected}, found {shown(given)}", _type_hint(kind, given, path, language)
    return str(item["msg"]), ""


def _to_add(name: str, language: Root) -> str:
    if name == "kind":
        return f"kind: {language.document.__name__}"
    return _TO_ADD.get(name, f"{name}: ...")


def _boolean_hint(given: Any) -> str:
    if isinstance(given, str) and given.lower() in _YAML_1_1_BOOLEANS:
        return f"YAML 1.2: write true or false; {given} is text"
    return "write true or false"


def _word_hint(given: Any, expected: str) -> str:
    words = expected.replace("'", "").replace(" or ", ", ").split(", ")
    close = nearest(str(given), words)
    if close:
        return f"did you mean {close!r}?"
    return f"write {words[0]}" if len(words) == 1 else f"write one of {', '.join(words)}"


def _type_hint(kind: str, given: Any, path: Path, language: Root) -> str:
    if given is None:
        return "write a value, or leave the field out"
    if kind == "bool_type":
        return _boolean_hint(given)
    if kind == "string_type":
        return "put it in quotes if it is text" if isinstance(given, int | float) else ""
    if kind in ("int_type", "float_type"):
        return "write the number without quotes" if str(given).isdecimal() else "write a number such as 1"
    annotation = _type_at(path, language)
    if isinstance(given, str) and is_model(annotation) and (spaced := _spaced(given, fields_of(annotation))):
        return f"write `{spaced}`, with a space after the colon"
    form = _form(annotation)
    if not path or not form:
        return "see examples/ and `nvictl schema`"
    return f"write `{form}`" if isinstance(path[-1], int) else f"write `{short(str(path[-1]))}: {form}`"


def _form(annotation: Any) -> str:
    """How something of that type is written, with what it cannot do without."""
    if is_model(annotation):
        known = fields_of(annotation)
        needed = [name for name, field in known.items() if field.is_required()] or list(known)[:1]
        return "{" + ", ".join(f"{name}: ..." for name in needed) + "}"
    item = _item_of(annotation)
    if item is None:
        return ""
    return f"{{NAME: {_form(item)}}}" if get_origin(annotation) is dict else f"[{_form(item)}]"


def _value_hint(error: ValueError) -> str:
    if isinstance(error, HintedError):
        return error.hint
    message = str(error)
    if "did you mean" in message or ": write " in message:
        return ""  # it has its own hint
    if message == "there is no value":
        return "write one, or leave the field out"
    if "as text, found" in message:
        return "" if message.endswith(_NO_TEXT) else "put it in quotes if it is text"
    return next((hint for part, hint in _HINTS if part in message), "")


# --------------------------------------------------------------------------- fields


def _unknown(path: Path, language: Root) -> tuple[str, str]:
    name, fields = str(path[-1]), _fields_at(path[:-1], language)
    message = f"there is no field {shown(name)}"
    if spaced := _spaced(name, fields):
        return message, f"write `{spaced}`, with a space after the colon"
    if instead := field_instead(name, fields):
        return message, instead
    if close := nearest(name, fields):
        return message, f"did you mean {close!r}?"
    return message, f"there are: {', '.join(fields)}" if fields else ""


def _meant(path: Path, language: Root) -> str | None:
    """The field that an unknown one probably is."""
    name, fields = str(path[-1]), _fields_at(path[:-1], language)
    return name.partition(":")[0] if _spaced(name, fields) else nearest(name, fields)


def _spaced(text: str, fields: Iterable[str]) -> str:
    """`ports:443/tcp` with the space that makes it a field and its value; nothing if it does not begin with one."""
    name, colon, value = text.partition(":")
    return f"{name}: {short(value)}" if colon and name in fields else ""


def _fields_at(path: Path, language: Root) -> list[str]:
    """The fields of the model at `path`."""
    annotation = _type_at(path, language)
    return sorted(fields_of(annotation)) if is_model(annotation) else []


def _type_at(path: Path, language: Root) -> Any:
    """What belongs at `path`, by walking the types of the models along it."""
    annotation: Any = language.document
    for step in path:
        if is_model(annotation):
            found = fields_of(annotation).get(str(step))
            annotation = found.annotation if found else None
        else:
            annotation = _item_of(annotation)
    return annotation


def _item_of(annotation: Any) -> Any:
    """The model within a dict, tuple or annotated type."""
    return next((model for each in reversed(get_args(annotation)) if (model := model_of(each))), None)


def _field(path: Path) -> Path:
    """The field that a value is of, or one of several values."""
    return path[:-1] if path and isinstance(path[-1], int) else path


def _is_list(annotation: Any) -> bool:
    """Does a field of that type take several values?"""
    return get_origin(annotation) is tuple or any(map(_is_list, get_args(annotation)))
