"""A change may come from a stranger: nothing that its files say is run, or reaches a page or a comment as markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvi_operator.errors import NviError, Position, SpecError, SpecProblem, printable
from nvi_operator.preview.model import Preview as Found
from nvi_operator.preview.model import RefusedPreview
from nvi_operator.view.preview.markdown import MOST, code, fenced, preview_markdown
from nvi_operator.view.preview.problems import workflow_commands
from tests.examples import examples
from tests.lab.remote import GitRemote
from tests.unit.preview.conftest import Preview, spec

pytestmark = pytest.mark.slow  # git, in processes by the dozen

NASTY = [
    "`",
    "``` ",
    "```\n",
    "~~~",
    "@all",
    "#1",
    "<img src=x onerror=a()>",
    "|",
    "\\`",
    "\n\n# x",
    "::error::",
    "%0A",
]
OURS = "<!-- nvictl preview --> ### Gateways: 1 refused → #### : refused #### : wrong before"

texts = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=5)), max_size=8).map("".join)


def refused(text: str) -> Found:
    problem = SpecProblem(Position(f"{text}.yaml", 3, 4), text, text, text)
    wrong = (
        RefusedPreview(text, SpecError([problem]), text),
        RefusedPreview(text, NviError(text, hint=text), is_base=True),
    )
    return Found(text, text, (), wrong, (text,))


@settings(max_examples=examples(100))
@given(texts)
def test_outside_of_code_a_comment_has_no_word_of_theirs(text: str) -> None:
    rest = without_code(preview_markdown(refused(text)))
    assert " ".join(rest.split()) == OURS


@settings(max_examples=examples(100))
@given(texts.map(lambda text: text.replace("\n", " ")))
def test_a_code_span_ends_where_it_should(text: str) -> None:
    """CommonMark 6.1: a span ends at the next run of as many backticks."""
    span = code(text)
    ticks = re.match("`+", span)
    assert ticks is not None
    runs = [run for run in re.findall("`+", span) if len(run) == len(ticks[0])]
    assert len(runs) == 2
    assert span.endswith(ticks[0])
    assert text in span


@settings(max_examples=examples(100))
@given(st.lists(texts.map(lambda text: text.replace("\n", " ").replace("\r", " ")), min_size=1, max_size=4))
def test_no_line_ends_a_fenced_block(lines: list[str]) -> None:
    first, *body, last = fenced(lines).rstrip("\n").split("\n")
    ticks = first.removesuffix("text")
    assert last == ticks
    assert not any(ticks in line for line in body)


@settings(max_examples=examples(100))
@given(texts)
def test_no_word_of_theirs_begins_an_annotation(text: str) -> None:
    for line in workflow_commands(refused(text)):
        assert re.fullmatch(r"::error file=[^:,]*,line=\d+,col=\d+::[^\r\n]*", line)


def without_code(text: str) -> str:
    """As CommonMark reads it: fenced blocks first, then code spans."""
    text = re.sub(r"^(`{3,})[a-z]+\n.*?\n\1\n", "", text, flags=re.M | re.S)
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


def test_a_comment_is_never_longer_than_a_forge_takes() -> None:
    error = SpecError([SpecProblem(Position("x" * 300, 1, 1), "", "y" * 900)] * 20)
    found = Found("a", "b", (), tuple(RefusedPreview(str(n), error) for n in range(100)), ())
    text = preview_markdown(found)
    assert len(text) < MOST + 1000
    assert text.endswith("more gateways: too long for a comment, see the page.\n")


def test_directories_of_a_branch_cannot_stand_for_revisions(repository: GitRemote, preview: Preview) -> None:
    repository.commit({"g/g.yaml": spec()})
    theirs = spec(uplink="isp-b")
    repository.git("checkout", "-q", "-b", "theirs")
    repository.commit({"g/g.yaml": theirs, "main/g/g.yaml": theirs, "theirs/g/g.yaml": theirs}, push=False)
    code, text, _ = preview("main", "theirs", "--path", "g")
    assert (code, text.splitlines()[0]) == (0, "edge (g): changed")


def test_nothing_of_a_branch_is_run(repository: GitRemote, preview: Preview, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for setting in ("core.fsmonitor", "filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "core.pager"):
        repository.git("config", setting, f"touch {ran}; cat")
    hooks = repository.work / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    repository.commit({"g.yaml": spec()})
    repository.commit({"g.yaml": spec(uplink="isp-b"), ".gitattributes": "* filter=evil diff=evil\n"})
    ran.unlink()
    assert preview("HEAD^", "HEAD")[0] == 0
    assert not ran.exists()


@pytest.mark.parametrize("name", ["^HEAD", "HEAD..HEAD", "HEAD HEAD", "HEAD:g.yaml", "HEAD^{blob}", "x\ny"])
def test_what_names_no_tree_is_no_revision(repository: GitRemote, preview: Preview, name: str) -> None:
    repository.commit({"g.yaml": spec()})
    code, _, errors = preview(name, "HEAD")
    assert code == 1
    assert errors.startswith(f"nvictl: {printable(name)}: not a revision of this repository")


@pytest.mark.parametrize("target", ["/etc", "../../..", "../../../etc/passwd"])
def test_a_symlink_out_of_the_tree_is_refused(repository: GitRemote, preview: Preview, target: str) -> None:
    repository.commit({"g/a/g.yaml": spec()})
    (repository.work / "g/a/x.yaml").symlink_to(target)
    (repository.work / "g/b").symlink_to(target)
    repository.commit({})
    code, _, errors = preview("HEAD^", "HEAD", "--path", "g/*")
    assert code == 1
    assert "x.yaml: the symlink leads out of the tree" in errors
    code, _, errors = preview("HEAD^", "./", "--path", "g/*")
    assert code == 1
    assert "leads out of" in errors
