"""Every way in which a spec directory changes, with real files and a real watch."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.sources.watch import DirectoryWatch

# See watch.py: pytest forgets the filter that is set there.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

DEADLINE = 5.0


class Seer:
    """A watch, and whether it woke since the last look."""

    def __init__(self, root: Path) -> None:
        self._woken = threading.Event()
        self.watch = DirectoryWatch(root, self._woken.set)
        self.watch.arm()

    def sees(self) -> bool:
        """Woken within the deadline? Then armed again, as the loop would."""
        woken = self._woken.wait(DEADLINE)
        self.rest()
        return woken

    def rest(self) -> None:
        """Arm until nothing more comes in: reports of one change arrive one by one."""
        while True:
            self._woken.clear()
            self.watch.arm()
            if not self._woken.wait(0.15):
                return

    def sees_nothing(self) -> bool:
        return not self._woken.wait(0.3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "etc" / "nvi"
    made.mkdir(parents=True)
    (made / "gateway.yaml").write_text("a: 1\n")
    return made


@pytest.fixture
def seer(root: Path) -> Iterator[Seer]:
    made = Seer(root)
    yield made
    made.watch.close()


def swap(link: Path, target: str) -> None:
    """Replace a symlink at once, as `ln -sfn` does not, but git-sync and Kubernetes do."""
    fresh = link.with_name(f"{link.name}.new")
    fresh.symlink_to(target)
    fresh.rename(link)


# --------------------------------------------------------------------------- saves


def test_a_plain_save_is_noticed(seer: Seer, root: Path) -> None:
    (root / "gateway.yaml").write_text("a: 2\n")
    assert seer.sees()


def test_a_new_file_and_its_end(seer: Seer, root: Path) -> None:
    (root / "more.yaml").write_text("b: 1\n")
    assert seer.sees()
    (root / "more.yaml").unlink()
    assert seer.sees()


def test_an_editor_that_renames_over_the_file(seer: Seer, root: Path) -> None:
    (root / "gateway.yaml.tmp").write_text("a: 2\n")
    (root / "gateway.yaml.tmp").rename(root / "gateway.yaml")
    assert seer.sees()


def test_vim_which_moves_the_old_one_away(seer: Seer, root: Path) -> None:
    (root / "gateway.yaml").rename(root / "gateway.yaml~")
    (root / "gateway.yaml").write_text("a: 2\n")
    (root / "gateway.yaml~").unlink()
    assert seer.sees()


def test_a_rename_from_outside(seer: Seer, root: Path, tmp_path: Path) -> None:
    (tmp_path / "fresh").write_text("a: 2\n")
    (tmp_path / "fresh").rename(root / "gateway.yaml")
    assert seer.sees()


def test_a_new_subdirectory_and_what_comes_into_it(seer: Seer, root: Path) -> None:
    (root / "sites" / "north").mkdir(parents=True)
    assert seer.sees()
    (root / "sites" / "north" / "lan.yaml").write_text("b: 1\n")
    assert seer.sees()
    shutil.rmtree(root / "sites")
    assert seer.sees()


def test_a_subdirectory_moved_in(seer: Seer, root: Path, tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "lan.yaml").write_text("b: 1\n")
    (tmp_path / "sites").rename(root / "sites")
    assert seer.sees()
    (root / "sites" / "lan.yaml").write_text("b: 2\n")
    assert seer.sees()


@pytest.mark.parametrize("name", [".gateway.yaml.swp", "gateway.yaml~", ".#gateway.yaml", "#gateway.yaml#", "4913"])
def test_what_editors_leave_is_nothing(seer: Seer, root: Path, name: str) -> None:
    (root / name).write_text("x")
    (root / name).unlink()
    assert seer.sees_nothing()


def test_reading_a_file_is_no_change(seer: Seer, root: Path) -> None:
    assert (root / "gateway.yaml").read_text()
    assert list(root.iterdir())
    assert seer.sees_nothing()


def test_what_happens_beside_the_directory_is_nothing(seer: Seer, root: Path) -> None:
    (root.parent / "other").mkdir()
    (root.parent / "nvi-operator.log").write_text("x")
    assert seer.sees_nothing()


# --------------------------------------------------------------------------- symlinks


def test_git_sync_swaps_the_symlink(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / "trees" / name).mkdir(parents=True)
        (tmp_path / "trees" / name / "gateway.yaml").write_text(name)
    (tmp_path / "current").symlink_to("trees/one")
    seer = Seer(tmp_path / "current")
    swap(tmp_path / "current", "trees/two")
    assert seer.sees()
    (tmp_path / "trees" / "one" / "gateway.yaml").write_text("the old one")
    assert seer.sees_nothing()
    (tmp_path / "trees" / "two" / "gateway.yaml").write_text("edited")
    assert seer.sees()
    swap(tmp_path / "current", str(tmp_path / "trees" / "three"))
    assert seer.sees()
    seer.watch.close()


def test_a_swap_that_is_found_before_it_is_reported(tmp_path: Path) -> None:
    """The loop arms for another reason, the kernel's say, while the report is under way."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("one")
    seer = Seer(tmp_path / "current")
    for round_ in range(10):
        swap(tmp_path / "current", ("two", "one")[round_ % 2])
        seer.watch.arm()
        assert seer.sees()
    seer.watch.close()


def test_a_symlink_in_the_middle_of_the_path(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "nvi").mkdir(parents=True)
    (tmp_path / "etc").symlink_to("one")
    seer = Seer(tmp_path / "etc" / "nvi")
    swap(tmp_path / "etc", "two")
    assert seer.sees()
    (tmp_path / "two" / "nvi" / "gateway.yaml").write_text("a: 1\n")
    assert seer.sees()
    seer.watch.close()


def test_an_update_of_a_config_map_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "config"
    for name in ("..2024", "..2025", "..2026"):
        (root / name).mkdir(parents=True)
        (root / name / "gateway.yaml").write_text(name)
    (root / "..data").symlink_to("..2024")
    (root / "gateway.yaml").symlink_to("..data/gateway.yaml")
    seer = Seer(root)
    for name in ("..2025", "..2026"):
        swap(root / "..data", name)
        assert seer.sees()
    assert (root / "gateway.yaml").read_text() == "..2026"
    seer.watch.close()


def test_a_file_that_is_a_symlink_out_of_the_directory(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (root / "shared.yaml").symlink_to(shared / "shared.yaml")
    seer = Seer(root)
    (shared / "shared.yaml").write_text("a: 1\n")  # it dangled
    assert seer.sees()
    (shared / "shared.yaml").write_text("a: 2\n")
    assert seer.sees()
    (shared / "other.yaml").write_text("a: 2\n")
    assert seer.sees_nothing()
    seer.watch.close()


def test_a_subdirectory_that_is_a_symlink(root: Path) -> None:
    """Inside, as git-sync has it below its root."""
    for name in (".trees/one", ".trees/two"):
        (root / name).mkdir(parents=True)
    (root / "site").symlink_to(".trees/one")
    (root / ".trees" / "one" / "linked.yaml").symlink_to("data")
    seer = Seer(root)
    (root / ".trees" / "one" / "lan.yaml").write_text("a: 1\n")
    assert seer.sees()
    (root / ".trees" / "one" / "data").write_text("a: 1\n")
    assert seer.sees()
    swap(root / "site", ".trees/two")
    assert seer.sees()
    (root / ".trees" / "two" / "lan.yaml").write_text("a: 1\n")
    assert seer.sees()
    seer.watch.close()


@pytest.mark.parametrize("target", ["/", "/proc", "beside"])
def test_a_directory_outside_is_no_part_of_a_spec(root: Path, tmp_path: Path, target: str) -> None:
    """A link to / would make the daemon watch the whole disk."""
    (tmp_path / "beside").mkdir()
    (root / "site").symlink_to(tmp_path / target)
    seer = Seer(root)
    (tmp_path / "beside" / "lan.yaml").write_text("a: 1\n")
    assert seer.sees_nothing()
    (root / "site").unlink()  # which makes the spec right
    assert seer.sees()
    seer.watch.close()


def test_symlinks_in_a_circle_end(root: Path) -> None:
    (root / "self").symlink_to(".")
    (root / "a.yaml").symlink_to("b.yaml")
    (root / "b.yaml").symlink_to("a.yaml")
    seer = Seer(root)
    (root / "gateway.yaml").write_text("a: 2\n")
    assert seer.sees()
    seer.watch.close()


# --------------------------------------------------------------------------- the directory itself


def test_removed_and_made_again(seer: Seer, root: Path) -> None:
    for _ in range(3):
        shutil.rmtree(root)
        assert seer.sees()
        root.mkdir()
        assert seer.sees()
        (root / "gateway.yaml").write_text("a: 2\n")
        assert seer.sees()


def test_its_parent_removed_and_made_again(seer: Seer, root: Path) -> None:
    shutil.rmtree(root.parent)
    assert seer.sees()
    root.parent.mkdir()
    assert seer.sees()
    root.mkdir()
    assert seer.sees()
    (root / "gateway.yaml").write_text("a: 2\n")
    assert seer.sees()


def test_removed_and_made_again_before_anyone_looked(seer: Seer, root: Path) -> None:
    shutil.rmtree(root.parent)
    root.mkdir(parents=True)
    (root / "gateway.yaml").write_text("a: 2\n")
    assert seer.sees()
    (root / "gateway.yaml").write_text("a: 3\n")
    assert seer.sees()


def test_replaced_by_another_one(seer: Seer, root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "fresh")
    root.rename(tmp_path / "old")
    (tmp_path / "fresh").rename(root)
    assert seer.sees()
    (tmp_path / "old" / "gateway.yaml").write_text("the old one")
    assert seer.sees_nothing()
    (root / "gateway.yaml").write_text("a: 3\n")
    assert seer.sees()


def test_a_directory_above_is_renamed(seer: Seer, root: Path, tmp_path: Path) -> None:
    root.parent.rename(tmp_path / "moved")
    assert seer.sees()
    (tmp_path / "moved").rename(root.parent)
    assert seer.sees()
    (root / "gateway.yaml").write_text("a: 3\n")
    assert seer.sees()


def test_a_directory_that_is_yet_to_come(tmp_path: Path) -> None:
    root = tmp_path / "not" / "yet"
    seer = Seer(root)
    root.mkdir(parents=True)
    assert seer.sees()
    (root / "gateway.yaml").write_text("a: 1\n")
    assert seer.sees()
    seer.watch.close()


def test_a_single_file_is_watched_by_its_directory(root: Path) -> None:
    seer = Seer(root / "gateway.yaml")
    (root / "gateway.yaml").write_text("a: 2\n")
    assert seer.sees()
    (root / "new").write_text("a: 3\n")
    assert seer.sees_nothing()
    (root / "new").rename(root / "gateway.yaml")
    assert seer.sees()
    seer.watch.close()


@pytest.mark.parametrize("spec", ["", "gateway.yaml"], ids=["directory", "file"])
def test_a_file_of_entries(root: Path, spec: str) -> None:
    seer = Seer(root / spec)
    (root / "forwards.csv").write_text("name,to\n")
    assert seer.sees()
    (root / "fresh").write_text("name,at,to\n")
    seer.rest()
    (root / "fresh").rename(root / "forwards.csv")
    assert seer.sees()
    seer.watch.close()


def test_a_file_of_entries_that_is_a_symlink(root: Path, tmp_path: Path) -> None:
    (root / "forwards.csv").symlink_to(tmp_path / "data.csv")
    seer = Seer(root)
    (tmp_path / "data.csv").write_text("name,to\n")
    assert seer.sees()
    seer.watch.close()


# --------------------------------------------------------------------------- git


def git(root: Path, *arguments: str) -> str:
    """What it prints."""
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def test_git_itself_is_nothing_but_a_checkout_is(root: Path) -> None:
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    (root / "gateway.yaml").write_text("a: 2\n")
    git(root, "commit", "-am", "two")
    seer = Seer(root)
    git(root, "branch", "other")
    git(root, "tag", "here")
    assert seer.sees_nothing()
    git(root, "checkout", "HEAD~1")
    assert (root / "gateway.yaml").read_text() == "a: 1\n"
    assert seer.sees()
    seer.watch.close()


# --------------------------------------------------------------------------- itself


def test_to_arm_again_changes_nothing(seer: Seer, root: Path) -> None:
    threads = threading.active_count()
    for _ in range(5):
        seer.watch.arm()
    assert threading.active_count() == threads
    (root / "gateway.yaml").write_text("a: 2\n")
    assert seer.sees()


def test_closed_it_leaves_no_thread_and_no_file_behind(root: Path) -> None:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    seer = Seer(root)
    seer.watch.close()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files


def test_where_it_cannot_watch_it_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(24, "inotify instance limit reached")

    watch = DirectoryWatch(root, lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr("nvi_operator.sources.watch.InotifyObserver", refuse)
        with pytest.raises(KernelError, match="instance limit reached"):
            watch.arm()
    watch.arm()
    watch.close()
