"""pydantic's errors in the words of the spec language, each with its place and a hint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from nvi_operator.errors import SpecProblem
from nvi_operator.spec.document import Document, Path
from nvi_operator.spec.models import Gateway

_YAML_1_1_BOOLEANS = {"yes", "no", "on", "off", "y", "n"}
_TYPES = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}


def explained(document: Document, error: ValidationError) -> Iterator[SpecProblem]:
    """One problem for each wrong value of the document."""
    seen: set[Path] = set()
    for item in error.errors(include_url=False):
        path = _written(document, item["loc"])
        if path in seen:  # a union reports each of its members
            continue
        seen.add(path)
        message, hint = _sentence(item, path)
        on_key = item["type"] == "extra_forbidden" or item["loc"][-1:] == ("[key]",)
        yield SpecProblem(document.find(path, key=on_key), _dotted(path), message, hint)


def _written(document: Document, loc: Sequence[str | int]) -> Path:
    """The path in the document: pydantic adds names of union members and validators to it."""
    path: list[str | int] = []
    node = document.root
    for number, step in enumerate(loc):
        value: Any = node.value
        if isinstance(value, dict) and step in value:
            path.append(step)
            node = value[step][1]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            path.append(step)
            node = value[step]
        elif number == len(loc) - 1 and isinstance(step, str) and isinstance(value, dict) and step != "[key]":
            path.append(step)  # a missing field
    return tuple(path)


def _dotted(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _sentence(item: Any, path: Path) -> tuple[str, str]:
    kind, given = item["type"], item.get("input")
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "missing":
        return f"{path[-1]} is missing", "add it"
    if kind == "literal_error":
        return f"{given!r} is none of {item['ctx']['expected']}", _boolean_hint(given)
    if kind == "value_error":
        message = str(item["ctx"]["error"])
        return message, _value_hint(message, given)
    if kind in ("greater_than_equal", "less_than_equal", "too_short"):
        return f"{given!r}: {item['msg'].removeprefix('Input ')}", ""
    wanted = _TYPES.get(kind)
    if wanted:
        return f"expected {wanted}, found {_shown(given)}", _type_hint(kind, given)
    return item["msg"], ""


def _shown(given: Any) -> str:
    if given is None:
        return "nothing"
    if isinstance(given, dict):
        return "a mapping"
    if isinstance(given, list | tuple):
        return "a list"
    return repr(given)


def _boolean_hint(given: Any) -> str:
    if isinstance(given, str) and given.lower() in _YAML_1_1_BOOLEANS:
        return f"in YAML 1.2 {given} is text: write true or false"
    return ""


def _type_hint(kind: str, given: Any) -> str:
    if kind == "bool_type":
        return _boolean_hint(given) or "write true or false"
    if kind == "string_type" and isinstance(given, int | float | bool):
        return "put it in quotes if it is text"
    if kind == "int_type" and isinstance(given, str):
        return "write the number without quotes"
    return (
        "see examples/ and `nvictl schema`" if kind in ("dict_type", "model_type", "list_type", "tuple_type") else ""
    )


def _value_hint(message: str, given: Any) -> str:
    if "did you mean" in message or "write" in message:
        return ""
    if "not a name" in message:
        return "names become nft identifiers: letters, digits and '-' only"
    if "interface name" in message:
        return "see the names in `ip link`"
    if "not an IPv4 or IPv6 address" in message:
        return "write an address such as 192.0.2.1 or 2001:db8::1"
    if "equal size" in message or "same size" in message:
        return "make both sides cover as much"
    if isinstance(given, int | float | bool):
        return "put it in quotes if it is text"
    return ""


def _unknown(path: Path) -> tuple[str, str]:
    name = str(path[-1])
    fields = _fields_at(path[:-1])
    close = get_close_matches(name, fields, n=1)
    if close:
        return f"there is no field {name!r}", f"did you mean {close[0]!r}?"
    return f"there is no field {name!r}", f"there are: {', '.join(fields)}" if fields else ""


def _fields_at(path: Path) -> list[str]:
    """The fields of the model at `path`, by walking the types of the models along it."""
    annotation: Any = Gateway
    for step in path:
        model = _model_in(annotation)
        if model is not None:
            found = [f for n, f in model.model_fields.items() if step in (f.alias, n)]
            annotation = found[0].annotation if found else None
        else:
            annotation = _item_of(annotation)
    model = _model_in(annotation)
    return sorted(f.alias or n for n, f in model.model_fields.items()) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _item_of(annotation: Any) -> Any:
    """Of a dict, tuple or annotated type: what is in it."""
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return next((a for a in reversed(arguments) if _model_in(a) is not None), None)
