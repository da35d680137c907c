"""A preview as one page of HTML. It needs nothing else, has no script, and forbids the browser any.


Every word of a spec or a path is escaped; the picture is view/graph's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from nvi_operator.preview.model import GatewayChange, Preview
from nvi_operator.state.lines import Line
from nvi_operator.view.graph.drawing import drawing
from nvi_operator.view.graph.svg import svg
from nvi_operator.view.plan import plan_lines
from nvi_operator.view.preview.blocks import Block, blocks, clean, headline, same_line
from nvi_operator.view.preview.highlights import highlights

MOST_PICTURES = 20  # of gateways; one may take 100 KiB
_MOST_FLOWS = 200
_MOST_LINES = 2000  # of the kernel's objects
_WORDS = {"+": "new", "-": "gone", "~": "changed", "!": "stranded"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --dim: #57606a; --page: #fff; --panel: #f4f5f7; --edge: #d0d7de;
  --new: #1a7f37; --gone: #cf222e; --changed: #9a5b00; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --dim: #9ba5b0; --page: #0d1117; --panel: #161b22;
  --edge: #3d444d; --new: #3fb950; --gone: #ff7b72; --changed: #e3a13a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 1200px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .4rem; border-bottom: 1px solid var(--edge); padding-bottom: .3rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
code, pre { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { background: var(--panel); border: 1px solid var(--edge); border-radius: 6px; padding: .6rem .8rem;
  margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.dim { color: var(--dim); } .new { color: var(--new); } .gone, .stranded, .refused { color: var(--gone); }
.changed { color: var(--changed); }
.word { font-weight: normal; font-size: .95rem; margin-left: .5rem; }
.picture { overflow-x: auto; margin: .6rem 0; }
.picture svg { max-width: 100%; height: auto; min-width: 720px; }
summary { cursor: pointer; color: var(--dim); }
nav ul { padding-left: 1.2rem; margin: .5rem 0; }
"""


def preview_page(preview: Preview) -> str:
    """HTML that stands alone."""
    return "\n".join(_page(preview)) + "\n"


def _page(preview: Preview) -> Iterator[str]:
    title = escape(f"Gateways: {headline(preview)}")
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
    yield f'<p class="dim">from {_code(clean(preview.base))} to {_code(clean(preview.head))}</p>'
    if same := same_line(preview):
        yield f'<p class="dim">{escape(same)}</p>'
    every = blocks(preview, _MOST_FLOWS)
    if len(every) > 1:
        yield f"<nav><ul>{''.join(_entry(number, block) for number, block in enumerate(every))}</ul></nav>"
    changes: list[GatewayChange | None] = [*(None for _ in preview.refused), *preview.changes]
    pictures = MOST_PICTURES
    for number, (block, change) in enumerate(zip(every, changes, strict=True)):
        yield from _section(number, block, change, has_picture=pictures > 0)
        pictures -= change is not None
    yield "</body>\n</html>"


def _entry(number: int, block: Block) -> str:
    return f'<li><a href="#g{number}">{escape(_name(block))}</a> {_word(block)}</li>'


def _section(number: int, block: Block, change: GatewayChange | None, *, has_picture: bool) -> Iterator[str]:
    yield f'<section id="g{number}">\n<h2>{escape(_name(block))}{_word(block)}</h2>'
    if block.error:
        yield _pre((" ", line) for line in block.error)
    if change is not None and has_picture:
        yield f'<div class="picture">{svg(drawing(change.name, change.spec, highlights(change)))}</div>'
    if block.flows:
        yield f"<h3>Flows</h3>\n{_pre(block.flows)}"
    if block.plan:
        yield f"<h3>Plan</h3>\n{_pre(block.plan)}"
    if block.notes:
        yield _pre((" ", f"note: {note}") for note in block.notes)
    if change is not None and change.plan:
        lines = ((sign, clean(line)) for sign, line in plan_lines(change.plan))
        yield f"<details><summary>In the kernel: {escape(block.steps)}</summary>\n{_pre(_first(lines))}</details>"
    yield "</section>"


def _first(lines: Iterable[Line]) -> Iterator[Line]:
    for number, line in enumerate(lines):
        if number == _MOST_LINES:
            yield " ", "... and more: nvictl preview -o json has all of it"
            return
        yield line


def _pre(lines: Iterable[Line]) -> str:
    return f"<pre>{chr(10).join(_line(sign, text) for sign, text in lines)}</pre>"


def _line(sign: str, text: str) -> str:
    if sign in ("", " "):
        return escape(text)
    return f'<span class="{_WORDS[sign]}">{escape(f"{sign} {text}")}</span>'


def _word(block: Block) -> str:
    kind = {"removed": "gone"}.get(block.word, block.word.partition(" ")[0])
    return f'<span class="word {escape(kind)}">{escape(block.word)}</span>'


def _name(block: Block) -> str:
    return f"{block.title} ({block.place})" if block.place not in (".", block.title) else block.title


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"
