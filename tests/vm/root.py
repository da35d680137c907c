"""A Debian userland per suite: its kernels, their headers and compiler, and what the operator and its tests need.

It is made once and kept. The module is built in there, with the compiler that the kernel's headers expect; the guest
runs in a copy of it without that.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.vm.kernels import Kernel, kernels

PROJECT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nvi-operator" / "vm"
LIBRARIES = "/opt/python"  # below a root: packages from PyPI

_GUEST = ("nftables", "python3", "python3-nftables", "iproute2", "iputils-ping", "traceroute", "conntrack", "ethtool")
_SYSTEM = ("kmod", "mount", "netbase", "procps", "util-linux", "socat", "systemd", "udev")
_BUILD = ("gcc", "make", "libc6-dev", "sparse", "perl")
_TEST_LIBRARIES = ("pytest", "hypothesis", "jsonschema")
# Half of the files are documentation. As --dpkgopt the patterns would start a Python for each essential package.
_EXCLUDED = "".join(f"path-exclude=/usr/share/{part}/*\n" for part in ("doc", "man", "info", "locale"))
_OPTIONS = (
    '--aptopt=Acquire::Check-Valid-Until "false"',  # a mirror may lag behind; it is still signed
    "--dpkgopt=force-unsafe-io",  # a root that is not finished is made again
    f"--extract-hook=printf %s '{_EXCLUDED}' >\"$1\"/etc/dpkg/dpkg.cfg.d/excluded",
)


def root_of(kernel: Kernel) -> Path:
    """The root of the kernel's suite; made now (a minute and 300 MB of downloads) if it is not there yet."""
    suite = [k for k in kernels().values() if k.suite == kernel.suite]
    packages = sorted({*_GUEST, *_SYSTEM, *_BUILD, *(package for k in suite for package in k.packages)})
    libraries = [*_dependencies(), *_TEST_LIBRARIES]
    digest = hashlib.sha256(repr((packages, libraries)).encode()).hexdigest()[:12]
    root = CACHE / f"{kernel.suite}-{digest}"
    if not root.exists():
        scratch = root.with_suffix(".partial")
        shutil.rmtree(scratch, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        _say(f"making a root of Debian {kernel.suite}")
        _bootstrap(kernel.suite, packages, scratch)
        _install(libraries, scratch)
        scratch.rename(root)
    return root


def release_of(kernel: Kernel, root: Path) -> str:
    """What `uname -r` says there."""
    found = sorted(p.name for p in (root / "usr/lib/modules").iterdir() if p.name.startswith(kernel.release))
    if len(found) != 1:
        raise SystemExit(f"{kernel.name}: expected one kernel {kernel.release}* in {root}, found {found}")
    return found[0]


def in_root(root: Path, *argv: str) -> list[str]:
    """A command line that runs `argv` in the root, with a /proc of its own (the kernel's build tools read it)."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(root), *argv]


def copy_project(target: Path) -> None:
    """What is tracked, and what is about to be."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)


def _bootstrap(suite: str, packages: Sequence[str], root: Path) -> None:
    include = f"--include={','.join(packages)}"
    command = ["mmdebstrap", "--mode=root", "--variant=apt", "--quiet", include, *_OPTIONS, suite, str(root)]
    # The initramfs that a kernel's package would make is never booted.
    subprocess.run(command, check=True, env={**os.environ, "INITRD": "No"})


def _install(libraries: Sequence[str], root: Path) -> None:
    """By this machine's pip for the root's Python, whichever version that is."""
    version = (root / "usr/bin/python3").readlink().name.removeprefix("python")
    target = ["--target", f"{root}{LIBRARIES}", "--python-version", version, "--implementation", "cp"]
    options = [
        *target,
        "--only-binary=:all:",
        "--platform",
        "manylinux2014_x86_64",
        "--platform",
        "manylinux_2_28_x86_64",
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", "-qq", *options, *libraries], check=True)


def _dependencies() -> list[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def _say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)
