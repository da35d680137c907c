"""What a spec consists of, by names that mean the same elsewhere; and the spec that kept files mean."""

from __future__ import annotations

import os
from pathlib import Path

from nvi_operator.errors import NviError, SpecError
from nvi_operator.history.revision import Content
from nvi_operator.language.load.loader import LoadedSpec, load_texts

NO_GATEWAY = Content("")


def content_of(loaded: LoadedSpec, root: Path) -> Content:
    """`root` is the directory or the file that it was loaded from."""
    home = root if os.path.isdir(root) else root.parent
    return Content(loaded.name, {os.path.relpath(name, home): data for name, data in loaded.contents.items()})


def loaded_from(content: Content, what: str) -> LoadedSpec:
    """The spec again. NviError if this version of nvictl finds it wrong."""
    try:
        return load_texts(content.files, gateway=content.gateway, root=what)
    except SpecError as error:
        raise NviError(
            f"{what}: this nvictl refuses its spec: {error.message}", hint="use the nvictl that applied it"
        ) from error
