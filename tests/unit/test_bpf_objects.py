"""The shipped objects of the eBPF programs: they belong to their sources, and their constants can be set and read."""

from __future__ import annotations

from itertools import product

import pytest

from nvi_operator.kernel.bpf import compile as compiler
from nvi_operator.kernel.bpf import elf, objects
from nvi_operator.kernel.bpf.elf import Order

NAMES = compiler.names()
ALL = list(product(NAMES, compiler.ORDERS))


@pytest.mark.parametrize(("name", "order"), ALL)
def test_the_object_belongs_to_its_source(name: str, order: Order) -> None:
    built = objects.read(name, order).values()[objects.BUILD]
    assert built == compiler.build(name), f"{objects.path(name, order).name} is of another source: run `make bpf`"


def test_every_header_is_a_source_of_some_program() -> None:
    """An object could be older than another header, and no test would tell."""
    sources = {path for name in NAMES for path in compiler.sources(name)}
    assert sources == {path for path in compiler.PROGRAMS.iterdir() if path.is_file()}


def test_there_are_no_other_objects() -> None:
    shipped = {path.name for path in objects.DIRECTORY.glob("*.o")}
    assert shipped == {objects.path(name, order).name for name, order in product(NAMES, compiler.ORDERS)}


@pytest.mark.parametrize(("name", "order"), ALL)
def test_an_object_is_of_its_byte_order(name: str, order: Order) -> None:
    about = objects.read(name, order)
    assert about.order == order
    assert about.image.index(b"\xeb\x9f" if order == "big" else b"\x9f\xeb"), "magic number of BTF"


@pytest.mark.parametrize(("name", "order"), ALL)
def test_both_byte_orders_have_the_same_constants(name: str, order: Order) -> None:
    assert objects.read(name, order).constants == objects.read(name).constants


def test_an_object_tells_no_path_of_the_machine_that_made_it() -> None:
    for path in objects.DIRECTORY.glob("*.o"):
        assert str(compiler.PROGRAMS).encode() not in path.read_bytes()
        assert b"/home" not in path.read_bytes()


@pytest.mark.parametrize("order", compiler.ORDERS)
def test_constants_are_set_in_the_byte_order_of_the_object(order: Order) -> None:
    about = objects.read("ingress_guard", order)
    data = about.with_values({"stage_mask": 0x12345678})
    assert (0x12345678).to_bytes(4, order) in data
    assert about.values(data) == {**about.values(), "stage_mask": 0x12345678}


def test_an_unknown_constant_and_a_value_that_does_not_fit() -> None:
    about = objects.read("ingress_guard")
    with pytest.raises(KeyError, match="stage_musk"):
        about.with_values({"stage_musk": 1})
    with pytest.raises(OverflowError):
        about.with_values({"stage_mask": 1 << 32})


def test_a_program_of_another_build_is_not_recognised() -> None:
    about = objects.read("ingress_guard")
    mine = about.with_values({"stage_mask": 4})
    assert objects.constants_of("ingress_guard", mine) == {**about.values(), "stage_mask": 4}
    assert objects.constants_of("ingress_guard", about.with_values({objects.BUILD: 1})) is None
    assert objects.constants_of("ingress_guard", mine + b"\0") is None
    assert objects.constants_of("ingress_guard", b"") is None


@pytest.mark.parametrize("image", [b"", b"\x7fELF\x01" + bytes(60), b"#!/bin/sh\n" * 10])
def test_what_is_no_object(image: bytes) -> None:
    with pytest.raises(ValueError, match="ELF64"):
        elf.parse(image)
