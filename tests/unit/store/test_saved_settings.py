"""Earlier values of settings survive crashes, full disks and damage."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nvi_operator.errors import KernelError
from nvi_operator.store.directory import sweep, write_file
from nvi_operator.store.saved_settings import FORWARDING, SavedSettings

IP_FORWARD = "net/ipv4/ip_forward"
RP_FILTER = "net/ipv4/conf/wan0/rp_filter"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def saved(run: Path) -> SavedSettings:
    return SavedSettings(7, run)


@pytest.fixture
def damaged(run: Path) -> Callable[[bytes], SavedSettings]:
    def made(data: bytes) -> SavedSettings:
        run.mkdir()
        (run / "settings-7.json").write_bytes(data)
        return SavedSettings(7, run)

    return made


def files(run: Path) -> list[str]:
    return sorted(path.name for path in run.iterdir())


def test_nothing_is_recorded_at_first(saved: SavedSettings) -> None:
    assert saved.all("sysctl") == {}
    assert saved.warnings == ()


def test_the_first_value_is_the_one_that_is_kept(saved: SavedSettings) -> None:
    saved.save("sysctl", IP_FORWARD, "0")
    saved.save("sysctl", IP_FORWARD, "1")
    assert saved.all("sysctl") == {IP_FORWARD: "0"}


def test_kinds_do_not_see_one_another(saved: SavedSettings) -> None:
    saved.save("sysctl", RP_FILTER, "1")
    saved.save("link-group", "wan0", "5")
    assert saved.all("link-group") == {"wan0": "5"}
    saved.discard("sysctl", RP_FILTER)
    assert (saved.all("sysctl"), saved.all("link-group")) == ({}, {"wan0": "5"})


def test_a_discarded_setting_can_be_saved_again(saved: SavedSettings) -> None:
    saved.save("sysctl", RP_FILTER, "1")
    saved.discard("sysctl", RP_FILTER)
    saved.save("sysctl", RP_FILTER, "2")
    assert saved.all("sysctl") == {RP_FILTER: "2"}


def test_another_process_sees_it_and_another_namespace_does_not(saved: SavedSettings, run: Path) -> None:
    saved.save("sysctl", RP_FILTER, "1")
    assert SavedSettings(7, run).all("sysctl") == {RP_FILTER: "1"}
    assert SavedSettings(8, run).all("sysctl") == {}


@pytest.mark.parametrize(
    "key", ["kernel/core_pattern", "net/ipv4/conf/../ip_forward", "net/ipv4/conf/wan0/arp_filter"]
)
def test_what_a_gateway_never_changes_is_not_recorded(saved: SavedSettings, key: str) -> None:
    with pytest.raises(KernelError, match="not a setting that nvictl changes"):
        saved.save("sysctl", key, "1")


def test_a_crash_between_write_and_rename_leaves_what_was(
    saved: SavedSettings, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.save("sysctl", RP_FILTER, "1")

    def crash(*_: object, **__: object) -> None:
        os._exit(0)

    if (child := os.fork()) == 0:
        os.rename = crash  # type: ignore[assignment]
        saved.save("sysctl", IP_FORWARD, "0")
    os.waitpid(child, 0)
    assert len(files(run)) == 2, "its scratch file is left"
    assert SavedSettings(7, run).all("sysctl") == {RP_FILTER: "1"}
    sweep(run / "settings-7.json")
    saved.save("sysctl", IP_FORWARD, "0")
    assert saved.all("sysctl") == {RP_FILTER: "1", IP_FORWARD: "0"}
    assert files(run) == ["settings-7.json"]


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced and renamed from now on."""
    order: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(fd: int) -> None:
        order.append("fsync of a directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "fsync")
        fsync(fd)

    def renamed(*arguments: str, **keywords: int) -> None:
        order.append("rename")
        rename(*arguments, **keywords)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    return order


def test_a_lasting_file_is_synced_before_it_replaces_the_old_and_its_directory_after(
    run: Path, order: list[str]
) -> None:
    write_file(run / "decisions.json", b"[]", lasting=True)
    assert order == ["fsync", "rename", "fsync of a directory"]


def test_saved_settings_wait_for_no_disk_because_a_machine_without_power_has_lost_the_settings_as_well(
    saved: SavedSettings, order: list[str]
) -> None:
    saved.save("sysctl", RP_FILTER, "1")
    assert order == ["rename"]


def test_a_full_disk_is_an_error_with_a_hint_before_anything_is_changed_and_does_not_stop_a_down(
    saved: SavedSettings, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.save("sysctl", RP_FILTER, "1")
    saved.save("sysctl", IP_FORWARD, "0")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(KernelError) as caught:
        saved.save("link-group", "wan0", "0")
    assert "settings-7.json: saving settings: No space left on device" in caught.value.message
    assert "full" in caught.value.hint
    assert caught.value.retryable
    with pytest.raises(KernelError):
        saved.begin({IP_FORWARD: "0"}, {}, stands=False, needed=True)
    saved.begin({IP_FORWARD: "0"}, {}, stands=True, needed=False)
    assert saved.all("sysctl") == {RP_FILTER: "1", IP_FORWARD: "0"}
    saved.discard("sysctl", IP_FORWARD)
    assert saved.all("sysctl") == {RP_FILTER: "1"}
    assert files(run) == ["settings-7.json"]


DAMAGE = {
    "empty": b"",
    "torn": b'[["sysctl", "net/ipv4/ip_forw',
    "written by two": b'[["sysctl", "net/ipv4/ip_forward", "0"]]"0"]]',
    "deep": b"[" * 100_000,
    "long": b"[" + b" " * (1 << 22) + b"]",
    "not text": b"\xff",
    "no list": b"7",
    "short": b"[[1]]",
    "outside": b'[["sysctl", "../../../etc/motd", "0"]]',
    "absolute": b'[["sysctl", "/etc/motd", "0"]]',
    "another setting": b'[["sysctl", "kernel/core_pattern", "0"]]',
    "another value": b'[["sysctl", "net/ipv4/ip_forward", "|/bin/sh"]]',
    "a number": b'[["sysctl", "net/ipv4/ip_forward", 0]]',
    "a list": b'[["sysctl", ["a"], "b"]]',
    "no group": b'[["link-group", "wan0", "abc"]]',
    "another kind": b'[["route", "wan0", "1"]]',
}


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_restores_nothing_and_is_renamed_with_a_warning(
    damaged: Callable[[bytes], SavedSettings], run: Path, data: bytes
) -> None:
    saved = damaged(data)
    assert (saved.all("sysctl"), saved.all("link-group")) == ({}, {})
    assert "settings-7.json: damaged" in saved.warnings[0]
    assert files(run) == ["settings-7.json"], "reading changes nothing"
    assert saved.incomplete
    saved.begin({IP_FORWARD: "1"}, {("link-group", "wan0"): "0"}, stands=True, needed=True)
    assert "renamed to" in saved.warnings[1]
    assert "wan0 = 0" in saved.warnings[0]
    assert saved.all("link-group") == {"wan0": "0"}
    assert (run / "settings-7.damaged").read_bytes() == data
    assert saved.all(FORWARDING) == {IP_FORWARD: "0"}, "an unknown value is restored as off"


def test_valid_entries_of_a_damaged_file_are_used(damaged: Callable[[bytes], SavedSettings], run: Path) -> None:
    good = ["sysctl", IP_FORWARD, "0"]
    saved = damaged(json.dumps([good, ["sysctl", "kernel/core_pattern", "1"]]).encode())
    saved.begin({}, {}, stands=True, needed=True)
    assert json.loads((run / "settings-7.json").read_text()) == [good]


@pytest.mark.parametrize("what", ["a directory", "a link", "a pipe"])
def test_anything_but_a_plain_file_is_renamed(saved: SavedSettings, run: Path, what: str, tmp_path: Path) -> None:
    run.mkdir()
    path = run / "settings-7.json"
    if what == "a directory":
        path.mkdir()
    elif what == "a link":
        (tmp_path / "secret").write_text(json.dumps([["sysctl", IP_FORWARD, "1"]]))
        path.symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(path)
    assert saved.all("sysctl") == {}
    saved.begin({IP_FORWARD: "1"}, {}, stands=True, needed=True)
    assert files(run) == ["settings-7.damaged", "settings-7.json"]


def test_forwarding_before_the_gateway_is_recorded_once_and_removed_with_the_gateway(
    saved: SavedSettings, run: Path
) -> None:
    saved.begin({IP_FORWARD: "1"}, {}, stands=False, needed=True)
    saved.begin({IP_FORWARD: "0"}, {}, stands=True, needed=True)
    assert saved.all(FORWARDING) == {IP_FORWARD: "1"}
    saved.end()
    assert files(run) == []
    saved.begin({IP_FORWARD: "1"}, {}, stands=False, needed=True)
    saved.begin({IP_FORWARD: "0"}, {}, stands=False, needed=True)
    assert saved.all(FORWARDING) == {IP_FORWARD: "0"}, "nothing stood: it is a new beginning"


def test_the_file_is_plain_json_that_only_root_can_read(saved: SavedSettings, run: Path) -> None:
    saved.save("sysctl", RP_FILTER, "1")
    assert json.loads((run / "settings-7.json").read_text()) == [["sysctl", RP_FILTER, "1"]]
    assert (run / "settings-7.json").stat().st_mode & 0o777 == 0o600
