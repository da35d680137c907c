"""The picture of it: time by number of entries, a panel for each step. Equal numbers give equal files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bench.control import steps as s
from bench.control.colours import COLOURS, OURS, PANELS
from bench.control.rounds import Result

_COLUMNS = 2
_STYLE = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}


def plot(results: Sequence[Result], file: Path) -> None:
    """Write an SVG. Whoever was measured at one size only is a point."""
    panels = [name for name in PANELS if any(r.step == name and r.rounds for r in results)]
    lines = -(-len(panels) // _COLUMNS)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.1 * lines), layout="constrained")
        FigureCanvasSVG(figure)
        for place, name in enumerate(panels, 1):
            _panel(figure.add_subplot(lines, _COLUMNS, place), [r for r in results if r.step == name and r.rounds])
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.read_text(encoding="utf-8")
    file.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), encoding="utf-8")


def _panel(axes: Axes, results: Sequence[Result]) -> None:
    for who in dict.fromkeys(result.who for result in results):
        points = [(r.size, r.seconds.median * 1000) for r in results if r.who == who]
        width = 2.2 if who in OURS else 1.3
        axes.plot(
            *zip(*points, strict=True), marker="o", markersize=3, linewidth=width, color=COLOURS[who], label=who
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_title(s.STEPS[results[0].step].title.partition(":")[0], loc="left", fontweight="bold")
    axes.set_xlabel("entries")
    axes.set_ylabel("ms")
    axes.grid(visible=True, which="major", linewidth=0.4, color="#d0d0d0")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7.5)
