"""docs/tutorial.md is true: its commands, typed in a laboratory, print what it says."""

from __future__ import annotations

import re

import pytest

from tests.lab.command import ROOT
from tests.lab.page import merged, run, same

PAGE = ROOT / "docs/tutorial.md"


@pytest.mark.netns
def test_the_tutorial_is_true() -> None:
    untrue = run(PAGE.read_text(encoding="utf-8"))
    assert not untrue, "`make tutorial` writes what is printed now:\n\n" + "\n\n".join(map(str, untrue))


def test_its_other_commands_name_what_is_there() -> None:
    """What installs packages, or asks systemd, is not run: at least its targets and files exist."""
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)$", blocks, re.M):
        assert f"\n{target}:" in makefile
    files = re.findall(r"/opt/nvi-operator/(?!\.venv)(\S+)", blocks)
    assert files
    for file in files:
        assert (ROOT / file).is_file()


@pytest.mark.parametrize(
    ("expected", "seen", "true"),
    [
        (["in sync"], ["in sync"], True),
        (["in sync"], ["not in sync"], False),
        (["in 3 ms"], ["in 1.5 s"], True),
        (["3 created"], ["4 created"], False),
        (["a", "...", "z"], ["a", "b", "c", "z"], True),
        (["a", "...", "z"], ["a", "b", "c", "y"], False),
        (["a"], ["a", "b"], False),
        (["a"], [], False),
        ([], ["error"], False),
    ],
)
def test_what_a_page_may_leave_open(expected: list[str], seen: list[str], true: bool) -> None:
    assert same(expected, seen, ["seconds"]) is true


def test_what_a_page_leaves_out_stays_left_out() -> None:
    assert merged(["a", "...", "z"], ["A", "b", "c", "Z"]) == ("A", "...", "Z")
    assert merged(["a"], ["b", "c"]) == ("b", "c")
