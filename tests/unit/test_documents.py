"""The documents' links lead somewhere, and their words are those of the field."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from nvi_operator.kinds import KINDS
from nvi_operator.language.load.loader import load_texts

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "examples", "findings", "bench", "kmod")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
CODE = {"nvi_operator": "*.py", "bench": "*.py", "findings": "*.sh", "kmod": "*.[ch]"}
GENERATED = {ROOT / "docs/spec.md", ROOT / "docs/benchmarks.md"}
WORDS = re.compile(r"\b(anew|of ours|are ours|somebody|nobody|lent|shall not)\b|, too(?=[.,;:)]|$)", re.IGNORECASE)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(page: Path) -> str:
    """Without code and output, line by line."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", lambda block: "\n" * block[0].count("\n"), text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


@pages
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            broken.append(link)
    assert broken == []


def test_files_that_contributors_and_modules_are_sent_to_are_there() -> None:
    package = ROOT / "nvi_operator"
    texts = {
        page: page.read_text(encoding="utf-8") for page in (ROOT / "CONTRIBUTING.md", ROOT / "docs/architecture.md")
    }
    for module in package.rglob("*.py"):
        texts[module] = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    missing = []
    for place, text in texts.items():
        folders = (ROOT, package, place.parent, place.parent.parent)
        for name in re.findall(r"`((?:\w+/)*\w+\.(?:py|bpf\.c))`", text):
            if not any((folder / name).exists() for folder in folders):
                missing.append(f"{place.relative_to(ROOT)}: {name}")
    assert missing == []


@pages
def test_words_are_plain(page: Path) -> None:
    if page not in GENERATED:
        lines = enumerate(prose(page).splitlines(), 1)
        assert [f"{number}: {line}" for number, line in lines if WORDS.search(line)] == []


def test_words_in_code_are_plain() -> None:
    found = []
    for file in (file for folder, name in CODE.items() for file in (ROOT / folder).rglob(name)):
        lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        found += [f"{file.relative_to(ROOT)}:{number}: {line}" for number, line in lines if WORDS.search(line)]
    assert found == []


def test_the_first_spec_that_a_reader_sees_is_valid() -> None:
    (spec,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(load_texts({"README.md": spec}).spec.uplinks) == 2


def test_each_decision_has_a_number_of_its_own() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("*.md"))
    numbers = [int(decision.name[:4]) for decision in decisions]
    assert numbers == list(range(1, len(decisions) + 1))
    for number, decision in zip(numbers, decisions, strict=True):
        assert decision.read_text(encoding="utf-8").startswith(f"# {number:04}: ")


def test_the_glossary_names_every_kind() -> None:
    (line,) = (line for line in (ROOT / "docs/glossary.md").read_text().splitlines() if line.startswith("| kind |"))
    assert set(re.findall(r"`([a-z-]+)`", line)) == set(KINDS)
