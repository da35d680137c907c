"""What an object file of eBPF programs says of itself, read without libbpf: its byte order and its constants.

A constant is a `const volatile` variable of the C source. It lies in section .rodata, which becomes a map of one
value: filled before the programs are loaded and frozen then, so that the verifier removes the branches that its
values rule out, and still there to be read from a live program.
Source: elf(5); the symbol table names each constant, its place and its size.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Literal

from nvi_operator.dataclass import dataclass

Order = Literal["little", "big"]

RODATA = ".rodata"
_SYMTAB, _OBJECT = 2, 1  # SHT_SYMTAB, STT_OBJECT
_SECTION_TABLE, _SECTION_COUNT = 40, 60  # e_shoff; e_shentsize is before e_shnum and e_shstrndx


@dataclass(frozen=True)
class Constant:
    """Its place in .rodata, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class ObjectFile:
    """`image` is the file, `rodata` the initial values of its constants."""

    image: bytes
    order: Order
    rodata: bytes
    constants: Mapping[str, Constant]

    def with_values(self, values: Mapping[str, int]) -> bytes:
        """Contents of .rodata with these values. KeyError for a constant that the source does not have,
        OverflowError for a value that does not fit.
        """
        data = bytearray(self.rodata)
        for name, value in values.items():
            at = self.constants[name]
            data[at.offset : at.offset + at.size] = value.to_bytes(at.size, self.order)
        return bytes(data)

    def values(self, rodata: bytes | None = None) -> dict[str, int]:
        """Value of every constant: in these contents of .rodata, or initially."""
        data = self.rodata if rodata is None else rodata
        return {
            name: int.from_bytes(data[at.offset : at.offset + at.size], self.order)
            for name, at in self.constants.items()
        }


def parse(image: bytes) -> ObjectFile:
    """The description of an ELF64 file. ValueError for anything else."""
    if image[:5] != b"\x7fELF\x02":
        raise ValueError("not an ELF64 file")
    order: Order = "little" if image[5] == 1 else "big"
    mark = "<" if order == "little" else ">"
    header = struct.Struct(f"{mark}IIQQQQIIQQ")  # Elf64_Shdr: name, type, flags, address, offset, size, link, ...
    (table,) = struct.unpack_from(f"{mark}Q", image, _SECTION_TABLE)
    count, names_at = struct.unpack_from(f"{mark}HH", image, _SECTION_COUNT)
    sections = [header.unpack_from(image, table + header.size * number) for number in range(count)]
    names = sections[names_at][4]
    rodata, constants = b"", {}
    for number, section in enumerate(sections):
        if _string(image, names + section[0]) == RODATA:
            rodata = image[section[4] : section[4] + section[5]]
            constants = _objects(image, mark, sections, number)
    return ObjectFile(image, order, rodata, constants)


def _objects(image: bytes, mark: str, sections: list[tuple[int, ...]], inside: int) -> dict[str, Constant]:
    """The variables of one section."""
    symbol = struct.Struct(f"{mark}IBBHQQ")  # Elf64_Sym: name, type and binding, visibility, section, value, size
    found: dict[str, Constant] = {}
    for section in sections:
        if section[1] != _SYMTAB:
            continue
        strings = sections[section[6]][4]
        for each in symbol.iter_unpack(image[section[4] : section[4] + section[5]]):
            if each[3] == inside and each[1] & 0xF == _OBJECT:
                found[_string(image, strings + each[0])] = Constant(each[4], each[5])
    return found


def _string(image: bytes, offset: int) -> str:
    return image[offset : image.index(b"\0", offset)].decode()
