"""The page of the documentation that shows it: text between two marks, and the picture beside it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.control.report import report
from bench.control.rounds import Result

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write(
    file: Path, results: Sequence[Result], about: str, absent: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """ValueError if the file has no marks. Without matplotlib the picture stays as it is."""
    picture = file.with_suffix(".svg")
    if importlib.util.find_spec("matplotlib"):
        from bench.control.plot import plot

        plot(results, picture)
    else:
        say(f"{picture}: not drawn: there is no matplotlib: pip install -e '.[bench]'")
    text = report(results, about, absent, plot=picture.name if picture.is_file() else None)
    file.write_text(between(file.read_text(encoding="utf-8"), text), encoding="utf-8")


def between(page: str, text: str) -> str:
    """The page, with this in the place of what is between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
