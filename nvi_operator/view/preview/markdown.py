"""A preview as Markdown, for a comment at a change request.

Every word that comes from a spec or a path is within a code span or a fenced block that it cannot end: no mention, no
link, no image and no HTML of a stranger reaches the forge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nvi_operator.language.wording import counted
from nvi_operator.pattern import pattern
from nvi_operator.preview.model import Preview
from nvi_operator.view.preview.blocks import Block, blocks, clean, headline, same_line

MARK = "<!-- nvictl preview -->"  # by which a workflow finds the comment that it wrote before
MOST = 60_000  # characters; GitHub takes 65,536
_TICKS = pattern(r"`+")


def preview_markdown(preview: Preview) -> str:
    """The comment. What is too much for one is left out, and counted."""
    parts = [
        f"{MARK}\n### Gateways: {headline(preview)}\n\n{code(clean(preview.base))} → {code(clean(preview.head))}\n"
    ]
    if same := same_line(preview):
        parts.append(f"\n{code(same)}\n")
    room = MOST - sum(map(len, parts))
    every = [_block(block) for block in blocks(preview)]
    for number, text in enumerate(every):
        room -= len(text)
        if room < 0:
            parts.append(f"\n{counted(len(every) - number, 'more gateway')}: too long for a comment, see the page.\n")
            break
        parts.append(text)
    return "".join(parts)


def _block(block: Block) -> str:
    place = f" ({code(block.place)})" if block.place not in (".", block.title) else ""
    return f"\n#### {code(block.title)}{place}: {block.word}\n\n{''.join(_body(block))}"


def _body(block: Block) -> Iterator[str]:
    if block.error:
        yield fenced(block.error)
    if block.plan:
        yield fenced((f"{sign} {line}" for sign, line in block.plan), "diff")
    if block.flows:
        yield f"Flows:\n\n{fenced((f'{sign} {line}' for sign, line in block.flows), 'diff')}"
    if block.notes:
        yield fenced((f"note: {note}" for note in block.notes), "text")
    if block.steps:
        yield f"{block.steps}\n"


def code(text: str) -> str:
    """A code span around one line, whatever is in it."""
    ticks = "`" * (_longest(text) + 1)
    room = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) or not text else ""
    return f"{ticks}{room}{text}{room}{ticks}"


def fenced(lines: Iterable[str], language: str = "text") -> str:
    """A block around some lines, whatever is in them."""
    body = "\n".join(lines)
    ticks = "`" * max(_longest(body) + 1, 3)
    return f"{ticks}{language}\n{body}\n{ticks}\n"


def _longest(text: str) -> int:
    """The length of the longest run of backticks in it."""
    return max(map(len, _TICKS.findall(text)), default=0)
