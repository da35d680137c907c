"""Collects a report of this machine: files, and outputs of commands, each bounded in time and size."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from nvi_operator.dataclass import dataclass

SECONDS = 60.0  # for each command
LARGEST = 2 << 20  # bytes of one member
LARGEST_STATE = 16 << 20  # it is of use as a whole only; 100,000 forwards take 6 MB
LARGEST_REPORT = 32 << 20


@dataclass(frozen=True)
class ReportFile:
    """A file of the report. `note` says what is wrong with it, or nothing. `sealed`: it holds its own checksum."""

    name: str
    text: str
    note: str = ""
    sealed: bool = False


def of_nvictl(name: str, *argv: str, most: int = 0) -> ReportFile:
    """The output of one of nvictl's own commands, in a process of its own: it may hang or crash."""
    from nvi_operator.cli import main

    return _of_child(name, lambda: main(argv), f"nvictl {' '.join(argv)}", most)


def of_state(name: str, *spec: str) -> ReportFile:
    """What `nvictl show state` writes, for `nvictl plan --against`."""
    found = of_nvictl(name, "show", "state", *spec, most=LARGEST_STATE)
    state = next((line for line in found.text.splitlines() if line.startswith("{")), None)
    return found if state is None or found.note else ReportFile(name, state, sealed=True)


def of_program(name: str, *argv: str) -> ReportFile:
    def replace() -> int:
        try:
            os.execvp(argv[0], argv)
        except FileNotFoundError:
            print(f"{argv[0]}: not installed")
        return 127

    return _of_child(name, replace, " ".join(argv))


def of_file(name: str, path: Path) -> ReportFile:
    try:
        with path.open("rb") as file:
            return ReportFile(name, *_bounded(file, LARGEST))
    except OSError as error:
        return ReportFile(name, "", f"{path}: {error.strerror}")


def _of_child(name: str, function: Callable[[], int], shown: str, most: int = 0) -> ReportFile:
    """Its standard output and standard error; `most` bytes, or as many as most members have."""
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            _run(function, output.fileno())
        ended = _wait(pid)
        text, note = _bounded(output, most or LARGEST)
    return ReportFile(name, f"$ {shown}\n{text}", "; ".join(filter(None, (ended, note))))


def _run(function: Callable[[], int], output: int) -> None:
    """Runs in the child, which ends with it."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["LC_ALL"] = "C"
        code = function()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - it must not return into the parent's code
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _wait(pid: int) -> str:
    """What became of it; empty for exit code 0."""
    deadline = time.monotonic() + SECONDS
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}" if code else ""
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"not done within {SECONDS:g} s"
        time.sleep(0.01)


def _bounded(file: io.BufferedIOBase | tempfile._TemporaryFileWrapper[bytes], most: int) -> tuple[str, str]:
    """The beginning and the end of what is longer; and a note."""
    file.seek(0)
    data = file.read(most + 1)
    if len(data) <= most:
        return data.decode(errors="replace"), ""
    size = file.seek(0, os.SEEK_END)
    file.seek(size - most // 2)
    left_out = size - most // 2 * 2
    cut = f"\n[{left_out} bytes are left out here]\n"
    return data[: most // 2].decode(errors="replace") + cut + file.read().decode(errors="replace"), cut.strip("\n[]")


def write(path: Path, members: Iterable[ReportFile], cleaned: Callable[[str], str], about: Sequence[str]) -> int:
    """A tar.gz that only its owner may read; the number of members. Raises OSError, also where the file exists."""
    from nvi_operator.plan.sealed import resealed

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    index: list[str] = []
    left = LARGEST_REPORT
    with open(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        root = path.name.removesuffix(".tar.gz")
        for member in members:
            text, note = cleaned(member.text), member.note
            data = (resealed(text) if member.sealed else text).encode(errors="replace")
            if len(data) > left:
                data, note = data[:left], "the report is full"
            left -= len(data)
            _add(archive, f"{root}/{cleaned(member.name)}", data)
            index.append(f"{cleaned(member.name)}  {len(data)} bytes{f'  ({cleaned(note)})' if note else ''}")
        _add(archive, f"{root}/README.txt", "".join(f"{line}\n" for line in (*about, "", *index)).encode())
    return len(index)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
    archive.addfile(entry, io.BytesIO(data))


def spec_files(directory: Path) -> Iterator[ReportFile]:
    """Every file that the spec is made of, by its name below the directory."""
    from nvi_operator.language.load.files import SpecFiles

    files = SpecFiles(directory)
    names = files.names((".yaml", ".yml", ".csv", ".jsonl"))[0] if files.is_directory else [str(directory)]
    for name in names:
        shown = os.path.relpath(name, directory) if files.is_directory else directory.name
        yield of_file(f"spec/{shown}", Path(name))
