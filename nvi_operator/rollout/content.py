"""What a spec consists of, by names that mean the same elsewhere; and the spec that kept files mean."""

from __future__ import annotations

import os
from pathlib import Path

from nvi_operator.errors import NviError, SpecError
from nvi_operator.history.revision import Content
from nvi_operator.language.load.loader import LoadedSpec, load_texts

NO_GATEWAY = Content("")
HOST_FILE = ".host"  # beside the files, which have no such names: the host that they were read for


class UnreadableSpecError(NviError):
    """A kept spec that this version of nvictl finds wrong: a later upgrade, or a downgrade."""


def content_of(loaded: LoadedSpec, root: Path) -> Content:
    """`root` is the directory or the file that it was loaded from."""
    home = root if os.path.isdir(root) else root.parent
    files = {os.path.relpath(name, home): data for name, data in loaded.contents.items()}
    if loaded.host is not None:
        files[HOST_FILE] = loaded.host.encode()
    return Content(loaded.name, files)


def host_of(content: Content) -> str | None:
    """The host that it was read for, where that may matter."""
    return content.files[HOST_FILE].decode() if HOST_FILE in content.files else None


def loaded_from(content: Content, what: str) -> LoadedSpec:
    """The spec again. Raises UnreadableSpecError."""
    files = {name: data for name, data in content.files.items() if name != HOST_FILE}
    try:
        return load_texts(files, hostname=host_of(content), gateway=content.gateway, root=what)
    except SpecError as error:
        raise UnreadableSpecError(
            f"{what}: this nvictl refuses its spec: {error.message}", hint="use the nvictl that applied it"
        ) from error
