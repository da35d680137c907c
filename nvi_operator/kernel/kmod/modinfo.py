"""Metadata of a .ko file: its ELF section .modinfo, and the marker that a signature leaves at its end.

modinfo(8) is not used: it is a process per call, and that of busybox does not read compressed modules.
"""

from __future__ import annotations

import struct
import subprocess
import zlib
from pathlib import Path

from nvi_operator.kmod.facts import ModuleFile

# scripts/sign-file.c
_SIGNED = b"~Module signature appended~\n"


def read_module_file(path: Path) -> ModuleFile:
    """Never raises: of an unreadable file only the path is known."""
    try:
        data = _content(path)
        values = parse_modinfo(data)
    except (OSError, EOFError, zlib.error, struct.error, ValueError, IndexError):
        return ModuleFile(str(path))
    vermagic = values.get("vermagic", "").split()
    return ModuleFile(
        str(path),
        version=values.get("version"),
        release=vermagic[0] if vermagic else None,
        source=values.get("srcversion"),
        signed=data.endswith(_SIGNED),
    )


def _content(path: Path) -> bytes:
    match path.suffix:
        case ".gz":
            import gzip

            return gzip.decompress(path.read_bytes())
        case ".xz":
            import lzma

            try:
                return lzma.decompress(path.read_bytes())
            except lzma.LZMAError as error:
                raise ValueError(str(error)) from error
        case ".zst":
            done = subprocess.run(["zstd", "-qdc", "--", str(path)], capture_output=True, check=False, timeout=60)
            return done.stdout
    return path.read_bytes()


def parse_modinfo(data: bytes) -> dict[str, str]:
    """Keys and values of .modinfo, the last value of a repeated key. Raises ValueError if `data` is not an ELF file.

    The headers are those of elf(5): e_shoff, e_shentsize, e_shnum and e_shstrndx, then one header per section.
    """
    if data[:4] != b"\x7fELF":
        raise ValueError("not an ELF file")
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), data, 40 if wide else 32)
    size, count, names = struct.unpack_from(order + "3H", data, 58 if wide else 46)

    def header(number: int) -> tuple[int, int, int]:
        """Offset of its name, offset of its content, length of its content."""
        at = table + number * size
        (name,) = struct.unpack_from(order + "I", data, at)
        offset, length = struct.unpack_from(order + ("2Q" if wide else "2I"), data, at + (24 if wide else 16))
        return name, offset, length

    _, strings, _ = header(names)
    for number in range(count):
        name, offset, length = header(number)
        if data.startswith(b".modinfo\0", strings + name):
            words = data[offset : offset + length].split(b"\0")
            pairs = (word.decode("utf-8", "replace").partition("=") for word in words if word)
            return {key: value for key, _, value in pairs}
    return {}
