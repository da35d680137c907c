"""A dataclass is made when it is first used, and is then what the standard library makes of it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field, fields, is_dataclass, replace
from functools import cached_property
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest

import nvi_operator
from nvi_operator.dataclass import dataclass
from nvi_operator.dataclass import replace as quick_replace


def _made(class_: type) -> bool:
    return isinstance(class_.__dict__["__dataclass_fields__"], dict)


def _classes() -> tuple[type[Any], type[Any]]:
    @dataclass(frozen=True)
    class Address:
        text: str
        labels: tuple[str, ...] = field(default_factory=tuple)

    @dataclass(frozen=True)
    class Named(Address):
        name: str = "lan0"

        def __post_init__(self) -> None:
            if not self.text:
                raise ValueError("no address")

    return Address, Named


def test_a_class_without_instances_is_not_made() -> None:
    assert not any(map(_made, _classes()))


def test_an_instance_makes_its_class_and_the_bases() -> None:
    address, named = _classes()
    first, second = named("192.0.2.1"), named("192.0.2.1", name="lan0")
    assert _made(address)
    assert _made(named)
    assert first == second
    assert {first: "found"}[second] == "found"
    assert repr(first).endswith("Named(text='192.0.2.1', labels=(), name='lan0')")
    assert replace(first, name="lan1") == named("192.0.2.1", (), "lan1")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'text'"):
        first.text = "192.0.2.2"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'text'"):
        del first.text
    with pytest.raises(TypeError, match=r"Named.__init__\(\) missing 1 required positional argument: 'text'"):
        named()
    with pytest.raises(ValueError, match="no address"):
        named("")


def test_a_class_keeps_its_own_methods_and_options() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Counted:
        what: str
        count: int = field(default=0, compare=False, repr=False)
        names: dict[str, str] = field(default_factory=dict, hash=False)

        def __str__(self) -> str:
            return self.what

        def __eq__(self, other: object) -> bool:
            return str(self) == str(other)

    @dataclass(eq=False)
    class Changing:
        name: str = "lan0"

    packets = Counted(what="packets", count=1)
    assert packets == Counted(what="packets", count=2)
    assert hash(packets) == hash(Counted(what="packets"))
    assert repr(packets).endswith("Counted(what='packets', names={})")
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        Counted("packets")  # type: ignore[misc]
    one = Changing()
    one.name = "lan1"
    assert one != Changing("lan1")
    assert {one: 1}


def test_a_class_with_slots_has_them_and_is_frozen() -> None:
    @dataclass(frozen=True, order=True, slots=True)
    class Port:
        number: int
        names: tuple[str, ...] = field(default_factory=tuple, compare=False)

        def __post_init__(self) -> None:
            if not self.number:
                raise ValueError("no port")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Open(Port):
        protocol: str = "tcp"

    port = Open(number=22, protocol="udp")
    assert (port.number, port.names, port.protocol) == (22, (), "udp")
    assert replace(port, protocol="tcp") == Open(number=22)
    assert Port(22, ("ssh",)) < Port(443)
    assert not hasattr(port, "__dict__")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'number'"):
        port.number = 23
    with pytest.raises(TypeError, match=r"Port.__init__\(\) missing 1 required positional argument: 'number'"):
        Port()
    with pytest.raises(ValueError, match="no port"):
        Open(number=0)


def test_what_asks_for_fields_makes_the_class() -> None:
    _, named = _classes()
    assert is_dataclass(named)
    assert [each.name for each in fields(named)] == ["text", "labels", "name"]
    assert named.__match_args__ == ("text", "labels", "name")


def test_threads_that_come_at_once_find_it_made() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(20):
                _, named = _classes()
                assert len(set(threads.map(named, ["192.0.2.1"] * 8))) == 1
    finally:
        sys.setswitchinterval(interval)


def test_every_dataclass_can_be_made() -> None:
    """A wrong one would be found when it is first used."""
    modules = [module.name for module in walk_packages(nvi_operator.__path__, "nvi_operator.")]
    found = {
        value
        for name in modules
        if not name.endswith("__main__")
        for value in vars(import_module(name)).values()
        if isinstance(value, type) and value.__module__ == name and "__dataclass_fields__" in vars(value)
    }
    assert len(found) > 300
    for each in found:
        assert all(one.init for one in fields(each)), f"{each}: every field is a parameter"


def test_replace_changes_fields_and_nothing_that_is_kept_of_them() -> None:
    @dataclass(frozen=True)
    class Counted:
        name: str
        numbers: tuple[int, ...] = ()

        @cached_property
        def total(self) -> int:
            return sum(self.numbers)

    one = Counted("one", (1, 2))
    assert one.total == 3
    two = quick_replace(one, numbers=(5,))
    assert (two, two.total) == (replace(one, numbers=(5,)), 5)
    assert quick_replace(one) == one
    with pytest.raises(TypeError, match="has no size"):
        quick_replace(one, size=1)
