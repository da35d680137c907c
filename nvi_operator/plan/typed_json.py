"""Frozen dataclasses as JSON, and back by their annotations: what a file holds is checked as it is read. Pure.

A dataclass is an object with its name under `is` (no field can be called so) and the fields that are not as by
default; sets and tuples are lists, and mappings whose keys are no texts are lists of pairs.

pydantic's TypeAdapter takes 38 ms to prepare for these types, where this takes 3, and tells the dataclasses of a
union by the fields that are given: `Notrack()` and `Redirect()` have none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Reader = Callable[[Any], Any]  # raises ValueError

_IS = "is"
_SCALARS = (str, int, float, bool, NoneType)
_ADDRESSES = (IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)


def written(value: Any) -> Any:
    """What is no JSON by itself, one level of it: `default` of `json.dumps`. Equal values are written equally."""
    if is_dataclass(value) and not isinstance(value, type):
        given = ((f, getattr(value, f.name)) for f in fields(value) if f.init)
        told = {
            f.name: _pairs(each) if isinstance(each, Mapping) else each for f, each in given if each != _default(f)
        }
        return {_IS: type(value).__name__, **told}
    if isinstance(value, Mapping):
        return _pairs(value)
    return sorted(value, key=repr) if isinstance(value, Set) else str(value)


def _pairs(value: Mapping[Any, Any]) -> Any:
    return dict(value) if all(isinstance(key, str) for key in value) else sorted(value.items(), key=repr)


@cache
def reader(type_: Any) -> Reader:
    """What makes a value of this type of what `written` made of one. Each call of it may raise ValueError."""
    origin, arguments = get_origin(type_), get_args(type_)
    if type_ is Any:
        return lambda data: data
    if origin in (Union, UnionType):
        return _one_of(arguments)
    if origin is Literal:
        return lambda data: data if data in arguments else _refuse(data, " or ".join(map(repr, arguments)))
    if origin is tuple:
        return _tuple(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*map(reader, arguments))
    if isinstance(origin, type) and issubclass(origin, Set):
        item = reader(arguments[0])
        return lambda data: frozenset(map(item, _items(data)))
    if is_dataclass(type_):
        return _dataclass(type_)
    if hasattr(type_, "_fields"):
        each = _tuple(tuple(get_type_hints(type_)[name] for name in type_._fields))
        return lambda data: type_(*each(data))
    return _scalar(type_)


def _scalar(type_: Any) -> Reader:
    if issubclass(type_, Enum):
        return lambda data: type_(data)
    if type_ in _ADDRESSES:
        return lambda data: type_(data if isinstance(data, str) else _refuse(data, "a text"))
    if type_ not in _SCALARS:
        raise TypeError(f"{type_}: no way to read one")
    types = (float, int) if type_ is float else (type_,)
    name = "nothing" if type_ is NoneType else type_.__name__
    return lambda data: data if type(data) in types else _refuse(data, name)


def _one_of(types: Collection[Any]) -> Reader:
    """The reader of a union: of the dataclass that is named, or the first type that takes the data."""
    named = {str(each.__name__): _Late(each) for each in types if hasattr(each, "__dataclass_fields__")}
    others = [reader(each) for each in types if not is_dataclass(each)]
    as_they_are = {each for each in types if each in _SCALARS}

    def read(data: Any) -> Any:
        if type(data) in as_they_are:
            return data
        if isinstance(data, dict) and (found := named.get(str(data.get(_IS)))):
            return found(data)
        for each in others:
            try:
                return each(data)
            except ValueError:
                continue
        return _refuse(data, "what may stand here")

    return read


class _Late:
    """The reader of a type, made when it is needed: types may name themselves."""

    def __init__(self, type_: Any) -> None:
        self._type = type_

    def __call__(self, data: Any) -> Any:
        return reader(self._type)(data)


def _tuple(types: tuple[Any, ...]) -> Reader:
    if types[-1] is Ellipsis:
        item = reader(types[0])
        return lambda data: tuple(map(item, _items(data)))
    readers = tuple(map(reader, types))

    def read(data: Any) -> Any:
        if len(_items(data)) != len(readers):
            _refuse(data, f"{len(readers)} items")
        return tuple(each(item) for each, item in zip(readers, data, strict=True))

    return read


def _mapping(key: Reader, value: Reader) -> Reader:
    def read(data: Any) -> Any:
        if isinstance(data, dict):
            return MappingProxyType({key(name): value(item) for name, item in data.items()})
        pairs = [_items(pair) for pair in _items(data)]
        if any(len(pair) != 2 for pair in pairs):
            _refuse(data, "pairs")
        return MappingProxyType({key(name): value(item) for name, item in pairs})

    return read


def _dataclass(type_: Any) -> Reader:
    hints = get_type_hints(type_)
    readers = {f.name: _Late(hints[f.name]) for f in fields(type_) if f.init}
    required = {f.name for f in fields(type_) if f.init and _default(f) is MISSING}

    def read(data: Any) -> Any:
        if not isinstance(data, dict) or data.get(_IS) != type_.__name__:
            _refuse(data, type_.__name__)
        if wrong := sorted((data.keys() - {_IS} - readers.keys()) | (required - data.keys())):
            raise ValueError(f"{type_.__name__}: {wrong[0]}: " + ("not known" if wrong[0] in data else "missing"))
        given = {}
        for name, item in data.items():
            if name != _IS:
                try:
                    given[name] = readers[name](item)
                except ValueError as error:
                    raise ValueError(f"{type_.__name__}.{name}: {error}") from error
        return type_(**given)

    return read


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _items(data: Any) -> list[Any]:
    return data if isinstance(data, list) else _refuse(data, "a list")


def _refuse(data: Any, expected: str) -> Any:
    found = repr(data)
    raise ValueError(f"{found if len(found) <= 60 else f'{found[:57]}...'} is not {expected}")
