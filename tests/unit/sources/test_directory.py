"""A spec directory is read when it changed, and a mistake in it leaves the last good spec in force."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.sources.directory import SpecDirectory
from nvi_operator.sources.fingerprint import fingerprint
from tests.lab.net import until
from tests.unit.sources.test_state import TEXT

FORWARD = b"  forwards: { web: { ports: 443/tcp, to: 192.168.1.80 } }\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "spec" / "edge.yaml"
    made.parent.mkdir()
    made.write_bytes(TEXT)
    return made


def test_an_untouched_directory_is_read_once(file: Path) -> None:
    until(lambda: fingerprint(file.parent).settled, "a fingerprint that proves something")
    directory = SpecDirectory(file.parent)
    assert directory.load().read
    assert not directory.load().read
    assert directory.state.in_force().name == "edge"


def test_a_mistake_leaves_the_last_good_spec_in_force(file: Path) -> None:
    directory = SpecDirectory(file.parent)
    directory.load()
    good = directory.state.good
    file.write_bytes(TEXT.replace(b"wan0", b"lan0"))
    directory.load()
    assert directory.state.good is good
    assert isinstance(directory.state.bad, SpecError)
    file.write_bytes(TEXT + FORWARD)
    directory.load()
    assert directory.state.bad is None
    assert list(directory.state.in_force().spec.forwards) == ["web"]


def test_a_directory_that_is_gone_leaves_the_last_good_spec_in_force(file: Path) -> None:
    directory = SpecDirectory(file.parent)
    directory.load()
    file.unlink()
    file.parent.rmdir()
    directory.load()
    assert directory.state.in_force().name == "edge"
    assert directory.state.bad is not None


def test_a_file_that_is_being_written_is_pending_and_not_for_ever(file: Path) -> None:
    open_files: list[str] = []
    directory = SpecDirectory(file.parent, being_written=lambda root, names: [n for n in names if n in open_files])
    assert directory.look(0.0).changed
    open_files.append(str(file))
    file.write_bytes(TEXT + b"#")
    assert directory.look(1.0).pending
    assert directory.state.pending is not None
    overdue = directory.look(12.0)
    assert (overdue.pending, overdue.changed) == (False, True)
    assert overdue.note == f"{file}: open for writing for 11 s: read as it is"
    assert directory.state.pending is None


def test_a_machine_that_is_called_otherwise_meanwhile_has_the_same_gateway(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "edge-1")
    directory = SpecDirectory(file.parent)
    (file.parent / "host.yaml").write_text(
        "apiVersion: nvi-operator/v1\nkind: Host\nmetadata: {name: edge-1}\nspec: {vars: {a: 1}}\n"
    )
    directory.load()
    monkeypatch.setattr("socket.gethostname", lambda: "dhcp-7")
    file.write_text(file.read_text() + "# an edit\n")
    directory.load()
    assert directory.state.bad is None
    assert directory.state.good is not None
    assert directory.state.good.host == "edge-1"


def test_the_revision_is_that_of_the_spec_in_force(file: Path) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.net", "-C", str(file.parent), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "first")
    directory = SpecDirectory(file.parent)
    directory.load()
    first = directory.revision
    assert first is not None
    file.write_bytes(TEXT.replace(b"wan0", b"lan0"))
    git("commit", "-qam", "a mistake")
    directory.load()
    assert directory.revision == first
    file.write_bytes(TEXT)
    git("commit", "-qam", "mended")
    directory.load()
    assert directory.revision not in (None, first)
