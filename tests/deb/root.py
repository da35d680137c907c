"""A clean root of a Debian release in a directory of its own. Programs run there by chroot, in any namespace."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

# /sys shows the network namespace in which it was mounted.
_ENTER = """
mount -t proc proc "$0/proc"
mount -t sysfs sysfs "$0/sys"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""
_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Root:
    """A root that was unpacked from `archive`. `run` is for the current network namespace."""

    def __init__(self, archive: Path, directory: Path) -> None:
        self.path = directory
        directory.mkdir(parents=True)
        subprocess.run(["tar", "-xf", archive, "-C", directory, "--exclude=./dev/*"], check=True)
        shutil.copy("/etc/resolv.conf", directory / "etc/resolv.conf")
        (directory / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")

    def argv(self, *words: str) -> list[str]:
        """The command that runs `words` in here; what it mounts ends with it."""
        return [
            "unshare",
            "--mount",
            "--propagation=private",
            "sh",
            "-ec",
            _ENTER,
            str(self.path),
            *_ENVIRONMENT,
            *words,
        ]

    def run(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, check=False, **options)
        assert not (check and done.returncode), f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def put(self, package: Path) -> str:
        """The path of a copy of this package, inside."""
        shutil.copy(package, self.path / "root" / package.name)
        return f"/root/{package.name}"


def next_version(package: Path, directory: Path) -> Path:
    """The same package with a higher version."""
    tree = directory / "next"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = [f"{line}+next" if line.startswith("Version:") else line for line in control.read_text().splitlines()]
    control.write_text("\n".join(lines) + "\n")
    made = directory / "nvi-operator_next.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, made], check=True, capture_output=True)
    shutil.rmtree(tree)
    return made
