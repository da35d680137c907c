"""Builds nvi.ko against a kernel's headers, in a scratch directory: nothing is left beside the sources."""

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

_SECONDS = 600
_SHOWN = 15  # lines
# What make, sh and its scripts print where a compiler, or a tool of the kernel's own build, is not there.
# The compiler's word on a header that it does not find has "fatal error" before the name.
_LACKING = re.compile(
    r"^\S+: (?:(?:line )?\d+: )?(\S+): (?:command not found|not found|No such file or directory)$", re.MULTILINE
)
# make passes these on to the makes that it calls: of a make that called us they would speak of other things.
_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "KDIR", "M", "V")


@contextmanager
def built(source: Path, release: str = "", root: Path = Path("/")) -> Iterator[ModuleFile]:
    """nvi.ko, as long as the `with` lasts. Raises CapabilityError where something to build with is lacking, and
    BuildError with the compiler's last words where it fails.
    """
    release = release or os.uname().release
    headers = need_headers(release, root)
    if shutil.which("make") is None:
        raise CapabilityError("module nvi: wanted to build it: there is no make", hint="install make and gcc")
    with tempfile.TemporaryDirectory(prefix="nvi-build-") as scratch:
        tree = Path(scratch) / "kmod"
        copy_sources(source, tree)
        _make(tree, headers, release)
        made = read_module_file(tree / "nvi.ko")
        if made.release != release:
            raise BuildError(
                f"module nvi: wanted for kernel {release}: {headers} made one for {made.release}",
                hint="the headers are those of another kernel",
            )
        yield made


def need_headers(release: str, root: Path = Path("/")) -> Path:
    """Where they are. Raises CapabilityError where they are not."""
    headers = root / TREE / release / "build"
    if not (headers / "Makefile").exists():
        raise CapabilityError(
            f"module nvi: wanted to build it: kernel {release} has no headers here: there is no {headers}",
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
        raise BuildError(f"module nvi: building for {release}: not done after {_SECONDS} seconds") from error
    if done.returncode or not (tree / "nvi.ko").is_file():
        raise failure(done.stdout.replace(f"{tree}/", ""), release)


def failure(output: str, release: str) -> BuildError | CapabilityError:
    """What make's output means."""
    lacking = _LACKING.search(output)
    if lacking:
        return CapabilityError(
            f"module nvi: building for {release}: there is no {lacking[1]}",
            hint=f"install {lacking[1]}: which compiler and tools are wanted is up to the kernel's headers",
        )
    lines = "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-_SHOWN:])
    return BuildError(f"module nvi: building for {release} failed; the last lines:\n{lines}")
