"""debian/changelog from CHANGELOG.md: python3 packaging/changelog.py VERSION DATE < CHANGELOG.md

VERSION replaces that of a section that is `(unreleased)`; DATE is RFC 2822, for every entry.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator

MAINTAINER = "nvi-operator maintainers <maintainers@nvi-operator.example>"
_SECTION = re.compile(r"^## (\S+) ?(\(unreleased\))?.*\n((?:(?!## ).*\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^- (.*\n(?:  .*\n)*)", re.MULTILINE)


def entries(markdown: str, version: str, date: str) -> Iterator[str]:
    for section in _SECTION.finditer(markdown):
        number, unreleased, body = section.groups()
        which = f"({version}) UNRELEASED" if unreleased else f"({number}) unstable"
        yield f"nvi-operator {which}; urgency=medium"
        yield ""
        for entry in _ENTRY.finditer(body):
            text = " ".join(entry[1].split())
            yield textwrap.fill(text, 78, initial_indent="  * ", subsequent_indent="    ", break_long_words=False)
        yield ""
        yield f" -- {MAINTAINER}  {date}"
        yield ""


if __name__ == "__main__":
    print("\n".join(entries(sys.stdin.read(), *sys.argv[1:])))
