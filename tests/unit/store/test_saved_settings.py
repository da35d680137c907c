"""What was lent is remembered as it was before us, through crashes and full disks."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.kernel.lent import Lent


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    return Lent(7, tmp_path / "run")


def test_nothing_is_lent_at_first(lent: Lent) -> None:
    assert lent.all("sysctl") == {}


def test_the_first_value_is_the_one_that_is_kept(lent: Lent) -> None:
    lent.remember("sysctl", "net/ipv4/ip_forward", "0")
    lent.remember("sysctl", "net/ipv4/ip_forward", "1")
    assert lent.all("sysctl") == {"net/ipv4/ip_forward": "0"}


def test_kinds_do_not_see_one_another(lent: Lent) -> None:
    lent.remember("sysctl", "wan0", "1")
    lent.remember("link-group", "wan0", "5")
    assert lent.all("link-group") == {"wan0": "5"}
    lent.forget("sysctl", "wan0")
    assert (lent.all("sysctl"), lent.all("link-group")) == ({}, {"wan0": "5"})


def test_what_was_forgotten_can_be_lent_anew(lent: Lent) -> None:
    lent.remember("sysctl", "a", "1")
    lent.forget("sysctl", "a")
    lent.remember("sysctl", "a", "2")
    assert lent.all("sysctl") == {"a": "2"}


def test_another_process_knows_what_was_lent(lent: Lent, tmp_path: Path) -> None:
    lent.remember("sysctl", "a", "1")
    assert Lent(7, tmp_path / "run").all("sysctl") == {"a": "1"}
    assert Lent(8, tmp_path / "run").all("sysctl") == {}, "another namespace"


def test_the_file_goes_with_the_last_entry(lent: Lent, tmp_path: Path) -> None:
    lent.remember("sysctl", "a", "1")
    lent.forget("sysctl", "a")
    lent.forget("sysctl", "a")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_crash_between_write_and_rename_leaves_what_was(
    lent: Lent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent.remember("sysctl", "a", "1")

    class Crash(BaseException):
        pass

    def crash(self: Path, target: Path) -> Path:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", crash)
        with pytest.raises(Crash):
            lent.remember("sysctl", "b", "2")
    after = Lent(7, tmp_path / "run")
    assert after.all("sysctl") == {"a": "1"}
    after.remember("sysctl", "c", "3")
    assert after.all("sysctl") == {"a": "1", "c": "3"}
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lent-7.json"]


def test_what_is_remembered_is_on_disk_before_it_takes_the_place_of_the_old(
    lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(fd: int) -> None:
        order.append("fsync")
        fsync(fd)

    def renamed(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    lent.remember("sysctl", "a", "1")
    assert order == ["fsync", "rename"]


def test_a_full_disk_is_an_error_with_a_hint_and_changes_nothing(
    lent: Lent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent.remember("sysctl", "a", "1")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KernelError) as caught:
        lent.remember("sysctl", "b", "2")
    assert "lent-7.json: keeping what was lent: No space left on device" in caught.value.message
    assert "full" in caught.value.hint
    assert caught.value.retryable
    assert lent.all("sysctl") == {"a": "1"}


@pytest.mark.parametrize("text", ["", "[[", '{"a": 1}', "[[1, 2]]", "5"], ids=repr)
def test_a_damaged_file_is_an_error_that_says_which(lent: Lent, tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lent-7.json").write_text(text, encoding="utf-8")
    with pytest.raises(KernelError, match=r"lent-7\.json"):
        lent.all("sysctl")


def test_the_file_is_plain_json(lent: Lent, tmp_path: Path) -> None:
    lent.remember("sysctl", "a", "1")
    assert json.loads((tmp_path / "run" / "lent-7.json").read_text()) == [["sysctl", "a", "1"]]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b'[["sysctl", "../../../etc/motd", "x"]]',
        b'[["sysctl", "/etc/motd", "x"]]',
        b'[["sysctl", "net/ipv4/ip_forward", 0]]',
        b'[["sysctl", ["a"], "b"]]',
        b'[["link-group", "wan0", "abc"]]',
        b"[[1]]",
        b"7",
    ],
)
def test_what_was_never_lent_is_not_given_back(lent: Lent, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/lent-7.json").write_bytes(data)
    with pytest.raises(KernelError, match="it is damaged"):
        lent.all("sysctl")
