"""The fingerprint of a spec directory, and its git revision."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import pytest

from nvi_operator.sources import fingerprint as source
from nvi_operator.sources.fingerprint import being_written, fingerprint
from nvi_operator.sources.revision import CheckedOutCommit
from nvi_operator.sources.working_copy import revision
from tests.unit.sources.test_watch import git, swap

OLD = 1_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "repo" / "gateways"
    made.mkdir(parents=True)
    (made / "gateway.yaml").write_text("a: 1\n")
    return made


# --------------------------------------------------------------------------- half-saved files


def test_a_file_is_being_written_while_anyone_has_it_open_for_that(root: Path) -> None:
    file = root / "gateway.yaml"
    before, names = fingerprint(root), [str(file), str(root / "more.csv")]
    assert being_written(root, names) == []
    with file.open("a") as writer:
        assert being_written(root, names) == [str(file)]
        assert being_written(file, [str(file)]) == [str(file)]
        writer.write("b: 2\n")
    assert being_written(root, names) == []
    with file.open() as _reader:
        assert being_written(root, names) == []
    assert before.changed(fingerprint(root)) == [str(file)]


def test_whoever_opens_a_file_that_was_asked_about_does_not_wait(root: Path) -> None:
    for _ in range(100):
        assert being_written(root, [str(root / "gateway.yaml")]) == []
        (root / "gateway.yaml").write_text("a: 2\n")


# --------------------------------------------------------------------------- fingerprint


def test_what_is_not_read_does_not_count(root: Path) -> None:
    before = fingerprint(root)
    (root / "README.md").write_text("x")
    (root / ".hidden.yaml").write_text("x")
    assert fingerprint(root) == before


def test_each_change_shows(root: Path) -> None:
    file, seen = root / "gateway.yaml", [fingerprint(root)]
    file.write_text("a: 22\n")
    seen.append(fingerprint(root))
    os.utime(file, (OLD, OLD))
    seen.append(fingerprint(root))
    shutil.copy2(file, root / "copy")
    (root / "copy").rename(file)  # the same name, size and mtime
    seen.append(fingerprint(root))
    (root / "more.yml").write_text("b: 1\n")
    seen.append(fingerprint(root))
    (root / "more.yml").rename(root / "other.yml")
    seen.append(fingerprint(root))
    file.unlink()
    seen.append(fingerprint(root))
    shutil.rmtree(root)
    seen.append(fingerprint(root))
    assert len(set(seen)) == len(seen)


def test_files_of_entries_count(root: Path) -> None:
    for spec in (root, root / "gateway.yaml"):
        seen = fingerprint(spec)
        (root / "lists").mkdir(exist_ok=True)
        (root / "lists" / f"{spec.name}.csv").write_text("name,to\n")
        assert fingerprint(spec) != seen


def test_a_file_is_the_only_change_if_that_is_certain(root: Path) -> None:
    (root / "more.csv").write_text("name,to\n")
    for file in root.iterdir():
        os.utime(file, (OLD, OLD))
    before = replace(fingerprint(root), settled=True)  # else it takes a tick of the clock
    assert before.only_change(fingerprint(root)) is None
    (root / "more.csv").write_text("name,to\nweb,10.0.0.1\n")
    now = fingerprint(root)
    assert before.only_change(now) == str(root / "more.csv")
    assert replace(before, settled=False).only_change(now) is None
    (root / "gateway.yaml").write_text("a: 23\n")
    assert before.only_change(fingerprint(root)) is None
    (root / "gateway.yaml").unlink()
    assert before.only_change(fingerprint(root)) is None


def test_a_swapped_symlink_shows(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text("same size")
        os.utime(tmp_path / name / "gateway.yaml", (OLD, OLD))
    (tmp_path / "now").symlink_to("one")
    before = fingerprint(tmp_path / "now")
    swap(tmp_path / "now", "two")
    assert fingerprint(tmp_path / "now") != before


def test_one_taken_at_the_moment_of_a_write_proves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(root / "gateway.yaml", (OLD, OLD))  # the ctime is now
    now = (root / "gateway.yaml").stat().st_ctime_ns
    monkeypatch.setattr(source.time, "time_ns", lambda: now)  # however busy the machine is
    seen = fingerprint(root)
    assert seen == fingerprint(root)
    assert not seen.settled
    assert not seen.same(fingerprint(root))


def test_a_single_file_has_one_as_well(root: Path) -> None:
    file = root / "gateway.yaml"
    before = fingerprint(file)
    assert fingerprint(file) == before
    file.write_text("a: 22\n")
    assert fingerprint(file) != before


# --------------------------------------------------------------------------- revision


@pytest.fixture
def repo(root: Path) -> Path:
    git(root.parent, "init")
    git(root.parent, "add", ".")
    git(root.parent, "commit", "-m", "Forward 443 to the shop\n\nBecause.")
    return root


def found(root: Path) -> CheckedOutCommit:
    revised = revision(root)
    assert revised is not None
    return revised


def test_a_checkout_says_what_it_is(repo: Path) -> None:
    revised = found(repo)
    assert git(repo, "rev-parse", "HEAD").startswith(revised.commit)
    assert revised.branch == "main"
    assert not revised.dirty
    assert str(revised) == f"{revised.commit} (main)"


def test_dirt_counts_in_the_directory_only(repo: Path) -> None:
    (repo.parent / "README.md").write_text("new")
    assert not found(repo).dirty
    (repo / "gateway.yaml").write_text("a: 2\n")
    assert found(repo).dirty
    assert str(found(repo)).endswith("+ (main)")
    git(repo.parent, "checkout", "gateways/gateway.yaml")
    (repo / "more.yaml").write_text("b: 1\n")
    assert found(repo).dirty


def test_a_detached_head_has_no_branch(repo: Path) -> None:
    git(repo.parent, "checkout", "--detach")
    assert found(repo).branch is None


def test_a_worktree_and_a_symlink_to_it(repo: Path, tmp_path: Path) -> None:
    git(repo.parent, "worktree", "add", "-b", "side", str(tmp_path / "tree"))
    (tmp_path / "now").symlink_to("tree")
    assert found(tmp_path / "now" / "gateways").branch == "side"


def test_a_single_file_is_of_its_directorys_revision(repo: Path) -> None:
    assert found(repo / "gateway.yaml") == found(repo)


def test_no_checkout_and_no_commit_yet(root: Path) -> None:
    assert revision(root) is None
    git(root.parent, "init")
    assert revision(root) is None
    assert revision(root.parent.parent / "nowhere") is None


def test_without_git_there_is_no_revision(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo))
    assert revision(repo) is None


def test_our_environment_does_not_lead_git_astray(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    assert found(repo).branch == "main"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_repository_of_another_user_runs_nothing_as_root(repo: Path) -> None:
    """A filter in .git/config is a program that `git status` runs."""
    proof = repo.parent / "whoami"
    git(repo.parent, "config", "filter.evil.clean", f"id -u >> {proof}; cat")
    (repo.parent / ".git" / "info" / "attributes").write_text("*.yaml filter=evil\n")
    (repo / "gateway.yaml").write_text("a: 7\n")
    subprocess.run(["chown", "-R", "65534:65534", str(repo.parent)], check=True)
    for folder in takewhile(lambda folder: folder != Path(gettempdir()), repo.parents):
        folder.chmod(0o755)
    assert found(repo).dirty
    assert set(proof.read_text().split()) == {"65534"}
