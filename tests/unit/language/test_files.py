"""Which files are read: regular ones in the spec directory, and nothing outside, however it is linked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load import files
from nvi_operator.language.load.files import SpecFiles
from nvi_operator.language.load.loader import load_directory
from nvi_operator.sources.fingerprint import fingerprint
from tests.unit.language.specs import BASE
from tests.unit.language.test_load import error_of, write

SECRET = "root:$6$salt$hash:19000::::::"
OUTSIDE = "cannot be read: a symlink leads out of the spec directory"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A spec directory beside a secret file."""
    write(tmp_path, {"spec/gw.yaml": BASE, "secret/shadow": SECRET, "secret/shadow.yaml": SECRET})
    return tmp_path / "spec"


@pytest.fixture
def at_once() -> Iterator[None]:
    """It takes milliseconds of this process, however busy the machine is; and without bounds for ever."""
    began = time.process_time()
    yield
    assert time.process_time() - began < 5


def names(root: Path) -> list[str]:
    return [Path(name).relative_to(root).as_posix() for name in SpecFiles(root).names()[0]]


def told(root: Path) -> list[tuple[str, str]]:
    """The problems of a directory: file and message."""
    with pytest.raises(SpecError) as caught:
        load_directory(root)
    assert "$6$" not in str(caught.value)
    return [(os.path.relpath(p.position.file, root), p.message) for p in caught.value.problems]


# --------------------------------------------------------------------------- which files


def test_which_files_are_specs(tmp_path: Path) -> None:
    write(
        tmp_path,
        dict.fromkeys(
            [
                *("a.yml", "b.yaml", "sub/c.yaml", "sub/deep/d.yaml"),
                *("README.md", ".hidden.yaml", ".git/x.yaml", "sub/.cache/x.yaml"),
                *("b.yaml~", ".b.yaml.swp", ".#b.yaml", "b.yaml.bak", "b.yaml.swp", "#b.yaml#", "yaml"),
            ],
            "",
        ),
    )
    write(tmp_path, {".trees/one/e.yaml": "", ".one.yaml": ""})
    (tmp_path / "linked").symlink_to(tmp_path / ".trees" / "one")
    (tmp_path / "z.yaml").symlink_to(".one.yaml")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == ["a.yml", "b.yaml", "linked/e.yaml", "sub/c.yaml", "sub/deep/d.yaml", "z.yaml"]


def test_a_directory_with_two_names_is_read_once_by_its_own(root: Path) -> None:
    write(root, {"site/lan.yaml": ""})
    (root / "a-link").symlink_to("site")
    assert names(root) == ["gw.yaml", "site/lan.yaml"]


@pytest.mark.usefixtures("at_once")
def test_directories_that_link_to_each_other_are_each_read_once(root: Path) -> None:
    for number in range(12):
        write(root, {f"d{number}/e.yaml": ""})
        for other in range(12):
            (root / f"d{number}" / f"to{other}").symlink_to(f"../d{other}")
    assert len(names(root)) == 13
    assert fingerprint(root) == fingerprint(root)
    assert load_directory(root).name


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    """Kubernetes links each file through ..data, which begins with a dot."""
    write(tmp_path, {"..2026_01/gw.yaml": BASE})
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "gw.yaml").symlink_to("..data/gw.yaml")
    assert load_directory(tmp_path).files == (str(tmp_path / "gw.yaml"),)


def test_an_empty_directory_is_told_and_is_no_gateway(tmp_path: Path) -> None:
    assert error_of(tmp_path) == (
        f"{tmp_path}:1:1",
        "no YAML files in this directory",
        "put the gateway's spec into a .yaml file here",
    )


def test_a_missing_directory_is_told_by_its_name(tmp_path: Path) -> None:
    assert error_of(tmp_path / "nowhere") == (
        f"{tmp_path}/nowhere:1:1",
        "cannot be read: No such file or directory",
        "name a directory or a file that exists; a symlink may lead nowhere",
    )


def test_a_dangling_link_is_told_and_not_left_out(tmp_path: Path) -> None:
    write(tmp_path, {"gw.yaml": BASE})
    (tmp_path / "more.yaml").symlink_to("gone.yaml")
    where, message, _ = error_of(tmp_path)
    assert (where, message) == (f"{tmp_path}/more.yaml:1:1", "cannot be read: No such file or directory")


def test_a_pipe_among_the_files_is_told_and_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, {"gw.yaml": BASE})
    os.mkfifo(tmp_path / "more.yaml")
    where, message, _ = error_of(tmp_path)
    assert (where, message) == (f"{tmp_path}/more.yaml:1:1", "cannot be read: not a regular file")


def test_a_pipe_that_is_named_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as writer:
        writer.submit((tmp_path / "pipe").write_text, BASE)
        assert load_directory(tmp_path / "pipe").name


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/tty"])
def test_a_device_is_told_and_not_read_for_ever(device: str) -> None:
    where, message, _ = error_of(Path(device))
    assert (where, message) == (f"{device}:1:1", "cannot be read: not a regular file")


@pytest.mark.parametrize("through", ["/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("piped", [True, False], ids=["pipe", "file"])
def test_what_another_program_hands_over_is_read(tmp_path: Path, through: str, piped: bool) -> None:
    write(tmp_path, {"gw.yaml": BASE})
    command = f"{sys.executable} -m nvi_operator validate {through}"
    given = f"cat {tmp_path}/gw.yaml | {command}" if piped else f"{command} < {tmp_path}/gw.yaml"
    done = subprocess.run(["sh", "-c", given], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --------------------------------------------------------------------------- what is outside


def test_a_symlink_to_a_file_outside_is_refused_and_not_quoted(root: Path) -> None:
    (root / "more.yaml").symlink_to("../secret/shadow")
    assert told(root) == [("more.yaml", OUTSIDE)]


def test_a_symlink_through_a_directory_that_is_one(root: Path) -> None:
    (root / ".hidden").symlink_to("../secret")
    (root / "more.yaml").symlink_to(".hidden/shadow")
    assert told(root) == [("more.yaml", OUTSIDE)]


def test_an_error_does_not_tell_whether_a_file_outside_exists(root: Path) -> None:
    (root / "more.yaml").symlink_to("../secret/none")
    assert told(root) == [("more.yaml", OUTSIDE)]


def test_a_directory_whose_name_begins_like_this_one_is_outside(root: Path) -> None:
    write(root.parent, {"spec-2/shadow.yaml": SECRET})
    (root / "more.yaml").symlink_to("../spec-2/shadow.yaml")
    assert told(root) == [("more.yaml", OUTSIDE)]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self/root", "/dev", "../secret", ".."])
def test_a_symlink_to_a_directory_outside_is_refused_at_once(root: Path, target: str) -> None:
    (root / "sub").symlink_to(target)
    assert told(root) == [("sub", OUTSIDE)]
    before = fingerprint(root)
    (root / "sub").unlink()
    assert fingerprint(root) != before


@pytest.mark.parametrize("target", ["../secret/shadow", "/proc/self/environ"])
def test_a_list_of_entries_outside_is_not_quoted(root: Path, target: str) -> None:
    write(root, {"gw.yaml": BASE + "  forwardsFrom: f.csv\n"})
    (root / "f.csv").symlink_to(target)
    assert told(root) == [("gw.yaml", "f.csv " + OUTSIDE)]


def test_a_spec_that_becomes_a_symlink_between_look_and_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write there could swap it at that very moment."""
    write(root, {"more.yaml": ""})

    def swap(path: str, *arguments: object, **options: object) -> int:
        if path.endswith("more.yaml") and not (root / "more.yaml").is_symlink():
            (root / "more.yaml").unlink()
            (root / "more.yaml").symlink_to("../secret/shadow")
        return plain(path, *arguments, **options)  # type: ignore[arg-type]

    plain = os.open
    monkeypatch.setattr(os, "open", swap)
    assert told(root) == [("more.yaml", "cannot be read: Too many levels of symbolic links")]


def test_a_directory_that_becomes_a_symlink_between_look_and_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, {"sub/shadow.yaml": ""})

    def swap(path: str, *arguments: object, **options: object) -> int:
        if path.endswith("shadow.yaml") and not (root / "sub").is_symlink():
            (root / "sub" / "shadow.yaml").unlink()
            (root / "sub").rmdir()
            (root / "sub").symlink_to("../secret")
        return plain(path, *arguments, **options)  # type: ignore[arg-type]

    plain = os.open
    monkeypatch.setattr(os, "open", swap)
    assert told(root) == [("sub/shadow.yaml", OUTSIDE)]


# --------------------------------------------------------------------------- no end


@pytest.mark.usefixtures("at_once")
def test_a_directory_with_too_much_in_it_is_none_of_specs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_SCANNED", 20)
    write(root, {f"photo{number}.jpg": "" for number in range(30)})
    assert told(root) == [(".", "cannot be read: more than 20 files and directories: is this the spec directory?")]
    assert fingerprint(root) == fingerprint(root)


def test_too_many_specs_too_deep_and_too_large(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as limits:
        limits.setattr(files, "MAX_FILES", 3)
        write(root, {f"{number}.yaml": "" for number in range(3)})
        assert told(root) == [(".", "cannot be read: more than 3 files with specs")]
    with monkeypatch.context() as limits:
        limits.setattr(files, "MAX_DEPTH", 3)
        write(root, {"1/2/3/4/x.yaml": ""})
        assert told(root) == [("1/2/3/4", "cannot be read: directories nested more than 3 deep")]
    with monkeypatch.context() as limits:
        limits.setattr(files, "MAX_FILE_BYTES", 1 << 20)
        write(root, {"big.yaml": "#" * (1 << 20) + "\n"})
        assert told(root) == [("big.yaml", "cannot be read: this file has more than 1 MiB")]
    monkeypatch.setattr(files, "MAX_BYTES", 1 << 20)
    assert told(root) == [("big.yaml", "cannot be read: the spec up to this file has more than 1 MiB")]
