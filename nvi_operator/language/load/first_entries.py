"""The first entries of a spec: what is wrong in most of 200,000 is told from them in milliseconds.

The rules of `check/gateway.py` find in some of the entries nothing that they would not find in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from nvi_operator.errors import SpecProblems
from nvi_operator.language.load.files import ReadEntries
from nvi_operator.language.load.merge import Part
from nvi_operator.language.load.yaml_documents import LITTLE, first_parts
from nvi_operator.language.load.yaml_errors import encoded
from nvi_operator.language.model.sections import Language

MOST = 2000  # of each section and file; twice as many as the problems that are counted


class FirstEntries:
    """Documents, and the files that they name, with their first entries only. Make one for each load."""

    def __init__(self, read: ReadEntries, language: Language) -> None:
        self._read = read
        self._language = language
        self._whole: dict[tuple[str, str], bytes | str] = {}
        self.left_out = False  # is there any other entry?

    def read_yaml(self, texts: Mapping[str, bytes | str], problems: SpecProblems) -> list[Part] | None:
        """The documents of YAML files, read no further than needed. None where that spares nothing."""
        if all(len(text) <= LITTLE for text in texts.values()):
            return None
        parts: list[Part] = []
        cut_short = False
        for file, text in texts.items():
            found = first_parts(text, file, problems, MOST, self._language)
            if found is None:
                return None
            parts += found[0]
            cut_short = cut_short or found[1]
        self.left_out = self.left_out or cut_short
        return self.of(parts) if cut_short else None

    def of(self, parts: Iterable[Part]) -> list[Part]:
        """The documents."""
        return [
            replace(part, sections={name: self._of_section(name, value) for name, value in part.sections.items()})
            for part in parts
        ]

    def _of_section(self, name: str, value: Any) -> Any:
        if name not in self._language.bulk or len(value) <= MOST:
            return value
        self.left_out = True
        return dict(islice(value.items(), MOST))

    def read(self, document: str, name: str) -> bytes:
        """The first lines of a file. See `ReadEntries`."""
        data = encoded(self.whole(document, name))
        end = 0
        for _ in range(MOST):
            end = data.find(b"\n", end) + 1
            if not end:
                return data
        self.left_out = self.left_out or end < len(data)
        return data[:end]

    def whole(self, document: str, name: str) -> bytes | str:
        """All of it, which is read once: it may be a pipe."""
        if (document, name) not in self._whole:
            self._whole[document, name] = self._read(document, name)
        return self._whole[document, name]
