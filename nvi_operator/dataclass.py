"""`dataclass`, as the standard library has it, made of a class when that is first used.

Python 3.11 compiles six functions for each frozen dataclass. A command imports 200 of them and makes instances of a
third: what it does not use should cost it nothing, and the rest one function, `__init__` (docs/adr/0024-start-up.md).
Its base classes, where they are dataclasses, are made here as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import MISSING, FrozenInstanceError
from operator import attrgetter
from threading import RLock
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

Class = type[Any]
Method = Callable[..., Any]

_FIELDS = "__dataclass_fields__"  # what fields(), replace(), is_dataclass() and subclasses ask for
_POSTPONED = {"frozen", "eq", "kw_only"}  # options; with others, such as slots, a class is made at once
_making = RLock()  # to make a class makes its bases


def _dataclass(cls: Class | None = None, /, **options: Any) -> Any:
    """See dataclasses.dataclass."""

    def decorated(cls: Class) -> Class:
        if options.get("slots") and "__init__" not in cls.__dict__:
            made = dataclasses.dataclass(**options, init=False)(cls)
            made.__init__ = _init(made, options.get("frozen", False))
            return made
        if options.keys() - _POSTPONED or "__init__" in cls.__dict__:
            return dataclasses.dataclass(**options)(cls)
        _postpone(cls, **options)
        return cls

    return decorated if cls is None else decorated(cls)


def _replace(instance: Any, /, **changes: Any) -> Any:
    """See dataclasses.replace. Of a class with `__dict__` and without `__post_init__`, in a tenth of the time."""
    fields, values = type(instance).__dataclass_fields__, instance.__dict__
    if not changes.keys() <= fields.keys():
        raise TypeError(f"{type(instance).__qualname__} has no {', '.join(changes.keys() - fields.keys())}")
    made = object.__new__(type(instance))
    if len(values) > len(fields):  # some properties of the instance are kept
        values = {name: values[name] for name in fields}
    made.__dict__.update(values, **changes)
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import replace as replace
else:
    dataclass = _dataclass
    replace = _replace


def _postpone(cls: Class, *, frozen: bool = False, eq: bool = True, kw_only: bool = False) -> None:
    def make() -> None:
        with _making:
            if cls.__dict__["__init__"] is first:
                cls.__doc__ = cls.__doc__ or cls.__name__  # else its signature, which takes longer than all else
                dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
                for name, method in _methods(cls, frozen, eq).items():
                    if cls.__dict__.get(name) is None:
                        setattr(cls, name, method)
                cls.__init__ = _init(cls, frozen)  # last: then other threads see it

    def first(self: Any, *args: Any, **kwargs: Any) -> None:
        make()
        cls.__init__(self, *args, **kwargs)

    cls.__init__ = first
    setattr(cls, _FIELDS, _Fields(make))


class _Fields:
    """Stands where the fields will."""

    def __init__(self, make: Callable[[], None]) -> None:
        self._make = make

    def __get__(self, instance: Any, owner: Class) -> Any:
        self._make()
        return getattr(owner, _FIELDS)


# --------------------------------------------------------------------------- methods


def _methods(cls: Class, frozen: bool, eq: bool) -> dict[str, Method | None]:
    """All methods but `__init__`."""
    fields = dataclasses.fields(cls)
    methods: dict[str, Method | None] = {"__repr__": _repr([field.name for field in fields if field.repr])}
    if eq:
        methods["__eq__"] = _eq(_key([field.name for field in fields if field.compare]))
        methods["__hash__"] = None
    if eq and frozen:
        key = _key([field.name for field in fields if (field.compare if field.hash is None else field.hash)])
        methods["__hash__"] = lambda self: hash(key(self))
    if frozen:
        methods |= {"__setattr__": _refuse_set, "__delattr__": _refuse_delete}
    return methods


def _key(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _eq(key: Callable[[Any], tuple[Any, ...]]) -> Method:
    def equal(self: Any, other: Any) -> bool:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _repr(names: Sequence[str]) -> Method:
    def represent(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return represent


def _refuse_set(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _init(cls: Class, frozen: bool) -> Method:
    """Compiled, because it is called most. That of a frozen class with slots takes half the time of the standard
    library's: there may be 100,000 instances.
    """
    known: dict[str, Any] = {"_set": object.__setattr__, "_LEFT_OUT": object()}
    positional: list[str] = []
    named: list[str] = []
    lines: list[str] = []
    for field in dataclasses.fields(cls):
        name = value = parameter = field.name
        if field.default_factory is not MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameter, value = f"{name}=_LEFT_OUT", f"_make_{name}() if {name} is _LEFT_OUT else {name}"
        elif field.default is not MISSING:
            known[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        (named if field.kw_only else positional).append(parameter)
        if not frozen:
            lines.append(f"self.{name} = {value}")
        elif isinstance(slot := getattr(cls, name, None), MemberDescriptorType):
            known[f"_set_{name}"] = slot.__set__
            lines.append(f"_set_{name}(self, {value})")
        else:
            lines.append(f"_set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    exec(f"def __init__({parameters}):\n  " + "\n  ".join(lines or ["pass"]), known)
    made: Method = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made
