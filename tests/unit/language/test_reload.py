"""Reading one file of a spec again. tests/property compares it with reading everything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvi_operator.language.fast.incremental import reload_file
from nvi_operator.language.load.loader import LoadedSpec, load_directory

YAML = """apiVersion: nvi-operator/v1
kind: Gateway
metadata: {name: edge}
spec:
  interfaces:
    lan: {networks: [10.0.0.0/8]}
  uplinks:
    isp-a: {interface: wan-a, addresses: [198.51.100.2], nextHop: 198.51.100.1}
  forwardsFrom: [lists/f.csv]
  staticFrom: [s.csv]
"""
ROWS = "name,ports,to\nweb,443/tcp,10.0.0.1\nmail,25/tcp,10.0.0.2\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "spec"
    (made / "lists").mkdir(parents=True)
    (made / "edge.yaml").write_text(YAML)
    (made / "lists/f.csv").write_text(ROWS)
    (made / "s.csv").write_text("name,address,as\n")
    return made


@pytest.fixture
def loaded(root: Path) -> LoadedSpec:
    return load_directory(root)


def again(loaded: LoadedSpec, root: Path, name: str = "lists/f.csv") -> LoadedSpec | None:
    found = reload_file(loaded, str(root / name), root)
    if found is not None:
        assert found[0].spec == load_directory(root).spec
    return found[0] if found else None


def test_an_edited_row_is_the_only_one_that_is_read(root: Path, loaded: LoadedSpec) -> None:
    (root / "lists/f.csv").write_text(ROWS.replace("10.0.0.2", "10.0.0.3"))
    now = again(loaded, root)
    assert now is not None
    assert now.spec.forwards["web"] is loaded.spec.forwards["web"]
    assert str(now.spec.forwards["mail"].to[0]) == "10.0.0.3"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_so_is_an_edited_entry_between_letters_of_several_bytes(root: Path, mark: str, ends: str) -> None:
    file = root / "edge.yaml"
    entries = "".join(f"    f{n}: {{ports: {n}/udp, to: 10.0.0.1}}  # größer: 東京 {n}\n" for n in range(1, 400))
    whole = mark + YAML.replace("spec:\n", "spec:  # Übergang\n") + "  forwards:\n" + entries
    edits = (("398/udp", "20000/udp"), ("東京 7\n", "大阪市\n"), ("10.0.0.1}  # größer: 東京 9\n", "10.0.0.9}\n"))
    file.write_bytes(whole.replace("\n", ends).encode())
    now: LoadedSpec | None = load_directory(root)
    for old, new in edits:
        whole = whole.replace(old, new)
        file.write_bytes(whole.replace("\n", ends).encode())
        assert now is not None
        before, now = now, again(now, root, "edge.yaml")
        assert now is not None
        assert now.spec.forwards["f300"] is before.spec.forwards["f300"]
        assert str(now.where.find(("spec", "forwards", "f399", "to"))) == f"{file}:410:32"
    file.write_bytes(whole.replace("\n", ends).encode().replace("東京 30".encode(), b"\xe6\x9d"))
    assert reload_file(now, str(file), root) is None


def test_one_edit_after_the_other(root: Path, loaded: LoadedSpec) -> None:
    now: LoadedSpec | None = loaded
    moved = ROWS.replace("mail,25", "mail,26")
    for text in (ROWS + "x,80/tcp,10.0.0.3\n", moved, moved + "y,25/tcp,10.0.0.4\n", ROWS + "y,25/tcp,10.0.0.4\n"):
        (root / "lists/f.csv").write_text(text)
        assert now is not None
        now = again(now, root)
    assert now is None, "25/tcp is free for another once mail moved, and not after it moved back"


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.replace("25/tcp", "443/tcp"),  # taken
        ROWS.replace("mail", "web"),  # a name twice
        ROWS.replace("10.0.0.2", "10.0.0.256"),
        ROWS.replace("10.0.0.2", "198.51.100.2"),  # the gateway itself
        ROWS.replace("25/tcp,10.0.0.2", "25/tcp"),
        ROWS.replace("name,ports,to", "name,ports,to "),  # the header
        ROWS.replace("mail", "mäil\udcff"),
    ],
)
def test_what_is_wrong_or_no_row_is_for_reading_everything(rows: str, root: Path, loaded: LoadedSpec) -> None:
    (root / "lists/f.csv").write_text(rows, encoding="utf-8", errors="surrogateescape")
    assert reload_file(loaded, str(root / "lists/f.csv"), root) is None


def test_so_are_other_files(root: Path, loaded: LoadedSpec) -> None:
    (root / "edge.yaml").write_text(YAML.replace("198.51.100.2", "198.51.100.3"))
    (root / "s.csv").write_text("name,address,as\none,10.0.0.9,198.51.100.9\n")
    for name in ("edge.yaml", "s.csv", "none.csv", "none.yaml"):
        assert again(loaded, root, name) is None


def test_so_is_an_edit_that_leaves_a_section_empty(root: Path) -> None:
    entries = "".join(f"    f{n}: {{ports: {n}/udp, to: 10.0.0.1}}\n" for n in range(1, 200))
    text = YAML.replace("  forwardsFrom: [lists/f.csv]\n", "") + "  forwards:\n"
    (root / "edge.yaml").write_text(text + entries)
    loaded = load_directory(root)
    (root / "edge.yaml").write_text(text)
    assert reload_file(loaded, str(root / "edge.yaml"), root) is None


def test_so_is_a_list_that_another_gateway_has_as_well(root: Path) -> None:
    (root / "other.yaml").write_text(YAML.replace("edge", "other").replace("  staticFrom: [s.csv]\n", ""))
    loaded = load_directory(root, gateway="edge")
    (root / "lists/f.csv").write_text(ROWS.replace("10.0.0.2", "10.0.0.3"))
    assert reload_file(loaded, str(root / "lists/f.csv"), root) is None


def test_a_link_that_leads_out_is_not_followed(root: Path, loaded: LoadedSpec, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text(ROWS.replace("10.0.0.2", "10.0.0.3"))
    os.unlink(root / "lists/f.csv")
    (root / "lists/f.csv").symlink_to(tmp_path / "other.csv")
    assert reload_file(loaded, str(root / "lists/f.csv"), root) is None
