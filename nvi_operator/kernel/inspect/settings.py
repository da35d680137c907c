"""Settings below /proc/sys, and tables of iptables-legacy: what the kernel tells in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from nvi_operator.language.model.values import Family

_SYS = Path("/proc/sys")
_NET = Path("/proc/thread-self/net")  # /proc/net is the namespace of the process, not of the thread


def read_settings(paths: Iterable[str]) -> dict[str, str]:
    """The settings that this kernel has."""
    values: dict[str, str] = {}
    for path in paths:
        try:
            values[path] = (_SYS / path).read_text(encoding="ascii").strip()
        except OSError:
            continue  # this kernel has none of that name, or the link has gone
    return values


def legacy_tables() -> Iterator[tuple[Family, str]]:
    names: tuple[tuple[Family, str], ...] = ((4, "ip_tables_names"), (6, "ip6_tables_names"))
    for family, name in names:
        try:
            text = (_NET / name).read_text(encoding="ascii")
        except OSError:
            continue  # no iptables-legacy in this kernel, or not root
        for table in text.split():
            yield family, table
