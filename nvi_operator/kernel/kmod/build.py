"""Builds nvi.ko against a kernel's headers, in a scratch directory: the sources stay as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nvi_operator.errors import BuildError, CapabilityError
from nvi_operator.kernel.kmod.index import TREE
from nvi_operator.kernel.kmod.modinfo import read_module_file
from nvi_operator.kernel.kmod.sources import copy_sources
from nvi_operator.kernel.kmod.survey import survey_module
from nvi_operator.kmod.facts import ModuleFile
from nvi_operator.kmod.verdict import headers_command
from nvi_operator.pattern import pattern

_SECONDS = 600
_SHOWN = 15  # lines
# What make, sh and its scripts print where a compiler, or a tool of the kernel's build, is missing. For a missing
# header the compiler prints "fatal error" before the name.
_MISSING = pattern(
    r"^\S+: (?:(?:line )?\d+: )?(\S+): (?:command not found|not found|No such file or directory)$", re.MULTILINE
)
# make passes these on to the makes that it calls; those of a make that called this one are about something else.
_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KDIR", "M", "V")


@contextmanager
def built(source: Path, release: str, root: Path = Path("/")) -> Iterator[ModuleFile]:
    """nvi.ko, for the duration of the `with`. Raises CapabilityError where the headers or a tool are missing, and
    BuildError with the last lines of the output where the build fails.
    """
    release = release or os.uname().release
    headers = need_headers(release, root)
    if shutil.which("make") is None:
        raise CapabilityError("module nvi: build: make not found", hint="install make and gcc")
    with tempfile.TemporaryDirectory(prefix="nvi-build-") as scratch:
        tree = Path(scratch) / "kmod"
        copy_sources(source, tree)
        _make(tree, headers, release)
        made = read_module_file(tree / "nvi.ko")
        if made.release != release:
            raise BuildError(
                f"module nvi: build for kernel {release}: {headers} built one for {made.release}",
                hint="these are the headers of another kernel",
            )
        yield made


def need_headers(release: str, root: Path) -> Path:
    """Their directory. Raises CapabilityError where it does not exist."""
    headers = root / TREE / release / "build"
    if not (headers / "Makefile").exists():
        raise CapabilityError(
            f"module nvi: build: headers of kernel {release} not found: {headers} does not exist",
            hint=headers_command(survey_module(root, release).distribution, release).removeprefix("# "),
        )
    return headers


def _make(tree: Path, headers: Path, release: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in _MAKE}
    try:
        done = subprocess.run(
            ["make", "-C", str(headers), f"M={tree}", f"-j{os.cpu_count() or 1}", "modules"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
            env={**environment, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"module nvi: build for {release}: not finished after {_SECONDS} seconds") from error
    if done.returncode or not (tree / "nvi.ko").is_file():
        raise failure(done.stdout.replace(f"{tree}/", ""), release)


def failure(output: str, release: str) -> BuildError | CapabilityError:
    """The error that make's output means."""
    missing = _MISSING.search(output)
    if missing:
        return CapabilityError(
            f"module nvi: build for {release}: {missing[1]} not found",
            hint=f"install {missing[1]}: the kernel's headers determine the compiler and the tools",
        )
    lines = "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-_SHOWN:])
    return BuildError(f"module nvi: build for {release}: failed; the last lines:\n{lines}")
