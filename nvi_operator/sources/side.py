"""One side of a preview: the files of a git revision, or those of a directory as they are now.

Both are read by `SpecFiles`, with the same care and the same limits as a gateway reads its own spec.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nvi_operator.errors import NviError, RefusedError, SpecError, printable
from nvi_operator.language.load.files import SpecFiles
from nvi_operator.sources.git.local import RevisionTree, inner_path
from nvi_operator.sources.git.naming import renamed


class Texts:
    """The files of one spec directory (preview.gateways.SpecTexts)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = SpecFiles(root)
        self._real: dict[str, str] = {}  # by the name that is shown

    @property
    def is_empty(self) -> bool:
        return self._files.names() == ([], [])

    def specs(self, prefix: str) -> Mapping[str, bytes]:
        try:
            contents = self._files.read_specs()
        except SpecError as error:
            raise renamed(error, str(self.root), prefix, between="") from None
        named = {prefix + os.path.relpath(name, self.root): name for name in contents}
        self._real.update(named)
        return {name: contents[real] for name, real in named.items()}

    def entries(self, document: str, name: str) -> bytes:
        return self._files.read_entries(self._real[document], name)


class RevisionSide:
    """A git revision. Its files are written to a directory of this process while they are read."""

    def __init__(self, tree: RevisionTree) -> None:
        self.label = tree.label
        self._tree = tree

    def directories(self, pattern: str) -> list[str]:
        return self._tree.directories(pattern)

    def identity(self, directory: str) -> str:
        return self._tree.identity(directory)

    def prefix(self, directory: str) -> str:
        return "" if directory == "." else f"{directory}/"

    def own_prefix(self, directory: str) -> str:
        return self._tree.prefix(directory)

    @contextmanager
    def texts(self, directory: str) -> Iterator[Texts | None]:
        with tempfile.TemporaryDirectory(prefix="nvictl-preview-") as scratch:
            found = bool(self.identity(directory)) and self._tree.write(directory, Path(scratch))
            yield Texts(Path(scratch)) if found else None


class DirectorySide:
    """The files as they are now, below one directory. NviError where there is none."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise NviError(f"{root}: not a directory", hint="a revision is written without a slash at the beginning")
        self.label = str(root)
        self._root = root

    def directories(self, pattern: str) -> list[str]:
        path = inner_path(pattern)
        found = [self._root] if path == "." else [each for each in self._root.glob(path) if each.is_dir()]
        return sorted(os.path.relpath(self._inside(each), self._root) for each in found)

    def _inside(self, directory: Path) -> Path:
        home = os.path.realpath(self._root)
        if os.path.commonpath((home, os.path.realpath(directory))) != home:
            raise RefusedError(f"{printable(str(directory))}: refused: a symlink leads out of {self._root}")
        return directory

    def identity(self, directory: str) -> str:
        return ""

    def prefix(self, directory: str) -> str:
        path = os.path.normpath(os.path.join(self.label, directory))
        return "" if path == "." else f"{path}/"

    own_prefix = prefix

    @contextmanager
    def texts(self, directory: str) -> Iterator[Texts | None]:
        root = self._root / directory
        texts = Texts(self._inside(root)) if root.is_dir() else None
        yield None if texts is None or texts.is_empty else texts
