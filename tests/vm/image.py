"""Initramfs images: the userland of a root with one kernel's modules, and over it what changes from run to run."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.vm.root import CACHE, LIBRARIES, copy_project

TREE = "/nvi"  # the project's tree in the guest
JOB = "/job.json"

# Needed to build, to boot from a disk, or to install packages. The guest unpacks all the rest at each boot.
_LEFT_OUT = (
    "boot", "proc", "sys", "dev", "tmp", "run", "usr/src", "usr/include", "usr/lib/gcc", "usr/lib/linux-kbuild-*",
    "usr/libexec/gcc", "usr/share/perl", "usr/lib/x86_64-linux-gnu/perl*", "usr/share/zoneinfo", "usr/lib/firmware",
    "usr/lib/x86_64-linux-gnu/*.a", "usr/bin/*-linux-gnu-*", "usr/bin/perl*", "usr/lib/udev/hwdb*", "var/lib/dpkg",
    "var/lib/apt", "var/cache", "var/log", "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale",
    "usr/lib/modules/*/kernel/fs", "usr/lib/modules/*/kernel/drivers/[!n]*",
    *(f"usr/lib/x86_64-linux-gnu/{name}*" for name in (
        "libLLVM", "libz3", "libicu", "libasan", "libtsan", "liblsan", "libubsan", "libisl", "libperl", "libgprofng",
        "libapt", "gconv",
    )),
)  # fmt: skip

_INIT = f"""#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH={LIBRARIES} HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/net
mknod /dev/net/tun c 10 200
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t securityfs securityfs /sys/kernel/security
mount -t debugfs debugfs /sys/kernel/debug
hostname guest
cd {TREE}
"""
_ALONE = """\
python3 -m tests.vm.guest
echo o > /proc/sysrq-trigger
sleep 60
"""
_SYSTEMD = "exec sh tests/systemd/boot.sh {disk}\n"


def base_image(root: Path, release: str) -> Path:
    """The part that stays: made once per root, kernel and choice of what is left out."""
    choice = hashlib.sha256(repr(_LEFT_OUT).encode()).hexdigest()[:6]
    image = CACHE / f"{root.name}-{release}-{choice}.cpio"
    if not image.exists():
        others = [p.name for p in (root / "usr/lib/modules").iterdir() if p.name != release]
        left_out = [*_LEFT_OUT, *(f"usr/lib/modules/{name}" for name in others)]
        prune = [word for path in left_out for word in ("-path", f"./{path}", "-prune", "-o")]
        partial = image.with_suffix(".partial")
        _archive(root, ["find", ".", "-xdev", *prune, "-print0"], partial)
        partial.rename(image)
    return image


def job_image(
    root: Path,
    release: str,
    module: bytes,
    job: Mapping[str, Any],
    target: Path,
    *,
    systemd: bool = False,
    disk: str = "",
) -> None:
    """The part of a run: the project as it is now, compiled, the module, and what is to be done.

    `disk`: the device that a gateway under systemd has its spec and state on; empty: they end with the machine.
    """
    with tempfile.TemporaryDirectory(prefix="job-", dir=root / "tmp") as scratch:
        tree = Path(scratch)
        tree.chmod(0o755)  # the guest's "/", which services without root's rights pass through
        for directory in ("proc", "sys", "dev", "run", "tmp"):
            (tree / directory).mkdir()
        copy_project(tree / TREE[1:])
        inside = f"/{tree.relative_to(root)}{TREE}"
        compiler = [
            "python3",
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
            "-s",
            inside,
            "-p",
            TREE,
        ]
        subprocess.run(["chroot", str(root), *compiler, inside], check=True)
        _add_module(root, tree, release, module)
        (tree / JOB[1:]).write_text(json.dumps(job), encoding="utf-8")
        (tree / "init").write_text(_INIT + (_SYSTEMD.format(disk=disk) if systemd else _ALONE), encoding="utf-8")
        (tree / "init").chmod(0o755)
        _archive(tree, ["find", ".", "-print0"], target)


def _add_module(root: Path, tree: Path, release: str, module: bytes) -> None:
    """With the indexes of all modules made here: depmod unpacks each of them, in the guest for half a minute."""
    target = tree / "usr/lib/modules" / release
    target.parent.mkdir(parents=True)
    shutil.copytree(root / "usr/lib/modules" / release, target, symlinks=True)
    (target / "updates").mkdir(exist_ok=True)
    (target / "updates/nvi.ko").write_bytes(module)
    (tree / "lib").symlink_to("usr/lib")
    subprocess.run(["chroot", str(root), "depmod", "-b", f"/{tree.relative_to(root)}", release], check=True)
    (tree / "lib").unlink()
    shutil.rmtree(target / "kernel")


def _archive(tree: Path, find: list[str], target: Path) -> None:
    with target.open("wb") as file:
        names = subprocess.Popen(find, cwd=tree, stdout=subprocess.PIPE)
        subprocess.run(
            ["cpio", "--null", "--create", "--quiet", "-H", "newc"],
            cwd=tree,
            stdin=names.stdout,
            stdout=file,
            check=True,
        )
        if names.wait():
            raise SystemExit(f"vm: {' '.join(find)} failed")
