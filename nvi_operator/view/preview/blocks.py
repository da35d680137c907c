"""A preview as blocks of lines: one for each gateway that changes, and for whatever is refused.

No line has a control character, nor one that turns the direction of writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.dataclass import dataclass
from nvi_operator.errors import NviError, printable
from nvi_operator.language.wording import short
from nvi_operator.plan.trace import trace
from nvi_operator.preview.model import GatewayChange, Preview, RefusedPreview
from nvi_operator.state.lines import Line
from nvi_operator.view.entries import entry_lines
from nvi_operator.view.plan import stranded_lines, summary
from nvi_operator.view.preview.flows import MOST, flow_lines

_LONGEST = 400  # characters of a line: a message may quote what a stranger wrote
_NOTES = 8


@dataclass(frozen=True)
class Block:
    """What becomes of one gateway, or why that cannot be told."""

    title: str  # the gateway, or the directory
    place: str  # its directory
    word: str  # new, changed, removed, refused, wrong before
    plan: tuple[Line, ...] = ()  # in the words of the spec
    flows: tuple[Line, ...] = ()  # what becomes of packets
    steps: str = ""  # how many, by action
    notes: tuple[str, ...] = ()
    error: tuple[str, ...] = ()

    @property
    def is_wrong(self) -> bool:
        return self.word == "refused"


def blocks(preview: Preview, most: int | None = MOST) -> list[Block]:
    """What is refused comes first: nothing else counts before it is mended. `most`: classes of flows of a gateway."""
    return [*map(_refused, preview.refused), *(_changed(change, most) for change in preview.changes)]


def headline(preview: Preview) -> str:
    """`2 gateways change, 1 is refused`"""
    words = [
        (len(preview.changes), "gateway changes", "gateways change"),
        (sum(not refused.is_base for refused in preview.refused), "refused", "refused"),
    ]
    told = [f"{count} {one if count == 1 else several}" for count, one, several in words if count]
    return ", ".join(told) or "no gateway changes"


def same_line(preview: Preview) -> str:
    """Gateways whose files differ, and that stay as they are."""
    names = [clean(name) for name in preview.same]
    return f"nothing in the kernel changes: {short(', '.join(names), _LONGEST)}" if names else ""


def _changed(change: GatewayChange, most: int | None) -> Block:
    notes = [f"its spec moved here from {change.moved}"] if change.moved else []
    notes += _new_notes(change)
    more = [f"and {len(notes) - _NOTES} more notes"] if len(notes) > _NOTES else []
    return Block(
        clean(change.name),
        clean(change.directory),
        change.word,
        _clean_lines(entry_lines(trace(change.plan, change.before))),
        _clean_lines(_flow_lines(change, most)),
        summary(change.plan) if change.plan else "",
        tuple(clean(note) for note in [*notes[:_NOTES], *more]),
    )


def _clean_lines(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple((sign, clean(text)) for sign, text in lines)


def _flow_lines(change: GatewayChange, most: int | None) -> Iterator[Line]:
    yield from flow_lines(change.flows, most)
    yield from (("!", line) for line in stranded_lines(change.plan.stranded))


def _new_notes(change: GatewayChange) -> list[str]:
    """The notes that the change brings. Of a new gateway they are about the host, which is assumed."""
    before, after = change.before, change.plan.topology
    return [note for note in after.notes if note not in before.notes] if before and after else []


def _refused(refused: RefusedPreview) -> Block:
    word = "wrong before" if refused.is_base else "refused"
    where = refused.gateway or refused.directory
    return Block(clean(where), clean(refused.directory), word, error=tuple(_error_lines(refused.error)))


def _error_lines(error: NviError) -> Iterator[str]:
    yield from (clean(line) for line in error.message.splitlines())
    if error.hint:
        yield clean(f"  hint: {error.hint}")


def clean(text: str) -> str:
    """One line that is safe to print, and not longer than a reader reads."""
    return short(printable(text), _LONGEST)
