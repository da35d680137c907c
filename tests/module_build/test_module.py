"""Builds against the headers of every kernel installed here: of a stub module, and of nvi.ko itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nvi_operator.errors import BuildError, CapabilityError
from nvi_operator.kernel.kmod.build import built
from nvi_operator.kernel.kmod.sources import find_sources

HEADERS = sorted(path.parent.parent for path in Path("/lib/modules").glob("*/build/Makefile"))
pytestmark = pytest.mark.skipif(not HEADERS, reason="no kernel's headers are installed")

STUB = """\
#include <linux/module.h>
MODULE_LICENSE("GPL");
MODULE_VERSION("0.3.0");
MODULE_ALIAS("rtnl-link-nvi");
"""


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A module that does nothing, laid out like kmod/."""
    directory = tmp_path / "kmod"
    directory.mkdir()
    (directory / "nvi.c").write_text(STUB)
    (directory / "Kbuild").write_text("obj-m := nvi.o\n")
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*"))


@pytest.mark.parametrize("tree", HEADERS, ids=lambda tree: tree.name)
def test_a_build_leaves_nothing_and_is_read_as_modinfo_reads_it(stub: Path, tree: Path) -> None:
    before = names(stub)
    with built(stub, tree.name) as made:
        path = Path(made.path)
        modinfo = [
            subprocess.run(["modinfo", "-F", key, path], capture_output=True, text=True, check=True).stdout.split()[0]
            for key in ("version", "vermagic", "srcversion")
        ]
        assert modinfo == [made.version, made.release, made.source] == ["0.3.0", tree.name, made.source]
        assert made.signed is False
    assert not path.exists()
    assert names(stub) == before


def test_a_compile_error_is_shown_in_the_compilers_words(stub: Path) -> None:
    (stub / "nvi.c").write_text(STUB + "#error it is broken\n")
    with pytest.raises(BuildError, match="#error it is broken") as caught, built(stub, HEADERS[0].name):
        pass
    assert len(str(caught.value).splitlines()) <= 16
    assert "nvi.c:5" in str(caught.value), "the file as the user knows it"


def test_a_missing_header_is_not_a_missing_tool(stub: Path) -> None:
    (stub / "nvi.c").write_text('#include "compat.h"\n' + STUB)
    with pytest.raises(BuildError, match=r"compat\.h: No such file"), built(stub, HEADERS[0].name):
        pass


@pytest.mark.parametrize("missing", ["gcc", "make"])
def test_a_missing_tool_is_named(stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for path in Path("/usr/bin").iterdir():
        if missing not in path.name:
            (tools / path.name).symlink_to(path)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(CapabilityError, match=f"{missing} not found"), built(stub, HEADERS[0].name):
        pass


@pytest.mark.parametrize("tree", HEADERS, ids=lambda tree: tree.name)
def test_nvi_is_built(tree: Path) -> None:
    source = find_sources(None)
    before = names(source)
    with built(source, tree.name) as made:
        assert (made.version, made.release) == ("0.3.0", tree.name)
    assert names(source) == before
