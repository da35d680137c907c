"""A table as a file for `nft -f`, line by line: what `nvictl render` prints."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.nft.ast import Table
from nvi_operator.nft.objects import in_file_order


def table_text(table: Table, *, width: int = 4) -> Iterator[str]:
    """Foreign objects are comments. TypeError if the table has a field that is not described."""
    pad = " " * width
    yield f"table inet {table.name} {{"
    if table.flags:
        yield f"{pad}flags {', '.join(sorted(table.flags))};"
    yield from (f"{pad}# {item}" for item in sorted(table.foreign))
    for kind in in_file_order(table):
        for name, item in kind.of(table).items():
            head, definition = f"{pad}{kind.noun(item)} {name} {{", kind.definition(item)
            if not kind.contents:
                yield f"{head} {definition}{' ' if definition else ''}}}"
                continue
            yield head
            if definition:
                yield f"{pad * 2}{definition}"
            yield from (f"{pad * 2}{line.replace('    ', pad)}" for line in kind.contents.lines(item))
            yield f"{pad}}}"
    yield "}"
