"""Which files are read, and names that come twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.files import ENTRY_SUFFIXES
from nvi_operator.language.load.loader import load_directory, load_texts
from tests.unit.language.entries.beside import HEADER, READS_CSV, RENAME, WEB, csv
from tests.unit.language.specs import BASE, problems_in

KEEP = "keep one of them, or give one another name"


def test_two_of_one_name_in_one_file() -> None:
    assert csv(HEADER + WEB + WEB.replace("443", "80")) == [
        ("f.csv:3:1", "", "'web' is already defined at f.csv:2:1", RENAME)
    ]


def test_two_of_one_name_in_two_files() -> None:
    document = BASE + "  forwards: {web: {at: isp-b, to: 192.168.1.1}}\n  forwardsFrom: [f.csv, g.csv]\n"
    again = "forwards {} is already defined at {}"
    taken = "everything that is sent to 198.51.100.2 is already used by forward 'web'"
    another = "a public port leads to one place: change the port, the address or `from`"
    texts = {
        "gw.yaml": document,
        "f.csv": HEADER + "a,,,192.168.1.1\n",
        "g.csv": HEADER + "\na,,,192.168.1.1\n" + WEB,
    }
    assert problems_in(texts) == [
        ("f.csv:2:3", "spec.forwards.a.at", taken, another),
        ("g.csv:3:1", "spec.forwards.a", again.format("'a'", "f.csv:2:1"), KEEP),
        ("g.csv:4:1", "spec.forwards.web", again.format("'web'", "gw.yaml:13:14"), KEEP),
    ]


def test_a_file_is_named_once() -> None:
    document = BASE + "  forwardsFrom: [f.csv, f.csv]\n"
    assert problems_in({"gw.yaml": document, "f.csv": HEADER + WEB}) == [
        (
            "gw.yaml:13:25",
            "spec.forwardsFrom",
            "f.csv is already named at gw.yaml:13:18",
            "name it once",
        )
    ]


@pytest.mark.parametrize(
    "name", ["../f.csv", "/etc/f.csv", "a/../f.csv", "./f.csv", ".f.csv", ".git/f.csv", "f.txt", "f"]
)
def test_a_name_that_leads_elsewhere(name: str) -> None:
    (reported,) = problems_in({"gw.yaml": BASE + f"  forwardsFrom: {name}\n"})
    assert reported[0] == "gw.yaml:13:17"
    assert reported[2].startswith(f"{name!r} is not a file of entries: name a .csv or .jsonl file")


def test_a_missing_file_of_entries_is_told_where_it_is_named() -> None:
    assert problems_in({"etc/gw.yaml": BASE + "  forwardsFrom: [sub/f.csv]\n"}) == [
        (
            "etc/gw.yaml:13:18",
            "spec.forwardsFrom",
            "sub/f.csv cannot be read: No such file or directory",
            "it is looked for at etc/sub/f.csv",
        )
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "spec"
    made.mkdir()
    (made / "gw.yaml").write_text(READS_CSV)
    (tmp_path / "outside.csv").write_text(HEADER + WEB)
    return made


def test_files_of_entries_are_read_from_the_directory_of_the_document(root: Path) -> None:
    (root / "f.csv").write_text(HEADER + WEB)
    for loaded in (load_directory(root), load_directory(root / "gw.yaml")):
        assert list(loaded.spec.forwards) == ["web"]


@pytest.mark.parametrize("named", ["", "gw.yaml"], ids=["directory", "file"])
def test_a_symlink_out_of_the_directory(root: Path, named: str) -> None:
    (root / "f.csv").symlink_to("../outside.csv")
    with pytest.raises(SpecError) as caught:
        load_directory(root / named)
    (problem,) = caught.value.problems
    assert problem.message == "f.csv cannot be read: a symlink leads out of the spec directory"
    assert problem.hint == "put the file itself beside the document"


def test_a_mounted_config_map(root: Path) -> None:
    """Kubernetes links each file through ..data, which is in the directory."""
    (root / "..2026_01").mkdir()
    (root / "..2026_01" / "f.csv").write_text(HEADER + WEB)
    (root / "..data").symlink_to("..2026_01")
    (root / "f.csv").symlink_to("..data/f.csv")
    assert list(load_directory(root).spec.forwards) == ["web"]


def test_what_is_no_file(root: Path) -> None:
    os.mkfifo(root / "f.csv")
    with pytest.raises(SpecError, match="cannot be read: not a regular file"):
        load_directory(root)


def test_each_suffix_has_a_format() -> None:
    for suffix in ENTRY_SUFFIXES:
        load_texts(
            {"gw.yaml": BASE + f"  staticFrom: s{suffix}\n", f"s{suffix}": "name,address,as\n" * (suffix == ".csv")}
        )
