"""A spec after an edit of a few forwards, in a few milliseconds, however many there are.

Forwards are independent of each other, but for public ports that two may not share. So what changed is checked by
itself, as a gateway that has no other forwards, and its ports against those that the others claim. Whatever is not as
simple, or wrong, is left to `load/loader.py`, which reads everything: None here. One law holds it together:
what this answers is what reading everything would.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

from nvi_operator.errors import SpecError
from nvi_operator.language.check.forwards import check_forwards
from nvi_operator.language.check.gateway import check
from nvi_operator.language.check.port_claims import Claims
from nvi_operator.language.fast.delta import Delta
from nvi_operator.language.load.files import ENTRY_SUFFIXES, SpecFiles
from nvi_operator.language.load.loader import LoadedSpec


def reload_file(loaded: LoadedSpec, file: str, root: Path) -> tuple[LoadedSpec, Delta] | None:
    """Reload a file below the spec directory `root` (or the only one), read with the same care."""
    try:
        data = SpecFiles(root).read(file)
    except OSError:
        return None
    return reload(loaded, file, data)


def reload(loaded: LoadedSpec, file: str, data: bytes) -> tuple[LoadedSpec, Delta] | None:
    """The spec with `data` in one of its files, and what that changed; None if everything has to be read."""
    written_in = [number for number, source in enumerate(loaded.where.sources) if source.file == file]
    if len(written_in) != 1 or (file in loaded.shared and file.endswith(ENTRY_SUFFIXES)):
        return None
    (number,) = written_in
    try:
        found = loaded.where.sources[number].edited(data)
    except SpecError:
        return None
    if found is None:
        return None
    source, patch = found
    delta = patch.delta
    if not loaded.language.by_name[delta.section].incremental:
        return None
    attribute = loaded.language.attributes[delta.section]
    entries = getattr(loaded.spec, attribute)
    changed = (*delta.removed.values(), *delta.added.values())
    if delta.section in loaded.language.switched and not all(entry.enabled for entry in changed):
        return None
    taken = loaded.taken.get(delta.section, frozenset()) | loaded.where.disabled.get(delta.section, frozenset())
    if taken and not taken.isdisjoint(delta.added.keys() | delta.removed.keys()):
        return None
    if any(name in entries for name in delta.added.keys() - delta.removed.keys()):
        return None
    claims = _claims(loaded, delta, attribute)
    if claims is None:
        return None
    spec = loaded.spec.model_copy(update={attribute: patch(entries)})
    return replace(loaded, spec=spec, where=loaded.where.after(number, source, patch), claims=claims), delta


def _claims(loaded: LoadedSpec, delta: Delta, attribute: str) -> Claims | None:
    """What all forwards claim after the edit; None if that, or what is edited in, is not right."""
    removed, added = Claims(), Claims()
    # These were right: only what they claim is asked.
    deque(check_forwards(loaded.spec.model_copy(update={attribute: delta.removed}), removed), maxlen=0)
    if check(loaded.spec.model_copy(update={attribute: delta.added}), added):
        return None
    return loaded.claims.exchanged(removed, added)
