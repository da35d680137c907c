"""An explanation as SVG: a column for each way, from the top down, in the style of the topology's picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

from nvi_operator.explain.verdict import Delivered, Forwarded
from nvi_operator.view.explain.model import Explanation, WalkTree
from nvi_operator.view.explain.tree import MOST_WAYS, STAGES
from nvi_operator.view.explain.words import StepWords, ending_words, heading, steps_of, uplink_of, verdict_words
from nvi_operator.view.graph.style import markers, style, xml_text

_WIDTH = 460  # of a column
_GAP = 40  # between columns
_MARGIN = 20
_LINE = 15
_CHARACTER = 6.65  # width, of the monospaced font of 11 px
_SPACE = 16  # between boxes, for the arrow
_PADDING = 9
_TOP = 40

Lines = tuple[tuple[str, str], ...]  # class of style, text


def explanation_svg(explanation: Explanation) -> str:
    """One `<svg>` element, with a line feed at its end."""
    ways = [each for way in explanation.ways[:MOST_WAYS] for each in way.all()]
    columns = [_Column(explanation, way, _MARGIN + number * (_WIDTH + _GAP)) for number, way in enumerate(ways)]
    drawn = [list(column.drawn()) for column in columns]
    width = _MARGIN * 2 + len(columns) * (_WIDTH + _GAP) - _GAP
    height = max((column.y for column in columns), default=_TOP) + _MARGIN
    title = xml_text(f"gateway {explanation.gateway}: {explanation.about}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nvi-graph" role="img" aria-label="{title}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{title}</title>",
        f"<style>{style()}</style>",
        f"<defs>{''.join(markers())}</defs>",
        '<rect class="page" width="100%" height="100%"/>',
        f'<text class="name" x="{_MARGIN}" y="26">{title}</text>',
        *(element for each in drawn for element in each),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Column:
    """Draws one way; `y` is where the next thing goes."""

    def __init__(self, explanation: Explanation, way: WalkTree, x: float) -> None:
        self._explanation = explanation
        self._way = way
        self._x = x
        self.y: float = _TOP

    def drawn(self) -> Iterator[str]:
        way = self._way
        yield from self._box((("title", heading(way)),), arrow=False)
        for stage, group in groupby(steps_of(way), key=lambda step: step.stage):
            yield from self._stage(STAGES[stage], list(group))
        verdict = verdict_words(way.walk, uplink_of(self._explanation.topology, way.walk))
        rows = tuple(("line", f"{label}: {text}") for label, text in ending_words(self._explanation, way))
        good = isinstance(way.walk.verdict, Forwarded | Delivered)
        yield from self._box((("title", verdict), *rows), kind=" new" if good else " gone")

    def _stage(self, name: str, steps: Sequence[StepWords]) -> Iterator[str]:
        self.y += _SPACE
        top = self.y
        self.y += 20
        inner = list(self._steps(steps))
        self.y += 8
        yield (
            f'<rect class="gateway" rx="7" x="{self._x:.1f}" y="{top:.1f}" width="{_WIDTH}" '
            f'height="{self.y - top:.1f}"/>'
        )
        yield f'<text class="stage" x="{self._x + 8:.1f}" y="{top + 15:.1f}">{xml_text(name)}</text>'
        yield from inner

    def _steps(self, steps: Sequence[StepWords]) -> Iterator[str]:
        for number, (label, group) in enumerate(groupby(steps, key=lambda step: step.label)):
            several = list(group)
            lines = [("text", step.text) for step in several]
            lines += [("line", origin) for origin in dict.fromkeys(s.origin for s in several if s.origin)]
            yield from self._box((("title", label), *lines), arrow=number > 0, inset=10)

    def _box(self, lines: Lines, *, kind: str = "", arrow: bool = True, inset: float = 0) -> Iterator[str]:
        x, width = self._x + inset, _WIDTH - 2 * inset
        if arrow:
            middle = self._x + _WIDTH / 2
            yield (f'<path class="way out" d="M{middle:.1f},{self.y:.1f} v{_SPACE - 2}" marker-end="url(#nvi-out)"/>')
            self.y += _SPACE
        shown = [(name, part) for name, text in lines for part in _wrapped(text, width - 2 * _PADDING)]
        height = len(shown) * _LINE + _PADDING + 4
        yield (
            f'<rect class="box{kind}" rx="5" x="{x:.1f}" y="{self.y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        )
        for number, (name, text) in enumerate(shown, start=1):
            at = self.y + _LINE * number + 1
            yield f'<text class="{name}" x="{x + _PADDING:.1f}" y="{at:.1f}">{xml_text(text)}</text>'
        self.y += height


def _wrapped(text: str, width: float) -> list[str]:
    return wrap(text, int(width / (_CHARACTER * 1.1)), break_on_hyphens=False) or [""]
