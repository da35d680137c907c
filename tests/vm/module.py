"""Builds kmod/ for a kernel in its root, with everything that can complain made to complain; and by the operator."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.vm.root import LIBRARIES, PROJECT, copy_project, in_root

SOURCE = PROJECT / "kmod"
_COMPLAINT = re.compile(r"warning:|error:|\bWARNING\b|\bERROR\b")


def build(root: Path, release: str) -> bytes:
    """nvi.ko. SystemExit with the compiler's words if it is not built without a single one of them.

    W=1 are the compiler's further warnings; C=2 has sparse check the sources.
    """
    with tempfile.TemporaryDirectory(prefix="kmod-", dir=root / "tmp") as scratch:
        tree = Path(scratch) / "kmod"
        shutil.copytree(SOURCE, tree)
        inside = f"/{tree.relative_to(root)}"
        make = ["make", "-C", inside, f"KDIR=/lib/modules/{release}/build", "W=1", "C=2", "modules"]
        done = subprocess.run(in_root(root, *make), capture_output=True, text=True, check=False)
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if _COMPLAINT.search(line)]
        if done.returncode or complaints:
            raise SystemExit(f"kmod: {release}: does not build clean:\n{done.stdout}{done.stderr}")
        return (tree / "nvi.ko").read_bytes()


def build_by_operator(root: Path) -> bool:
    """tests/module_build in the root, for every kernel that has headers there; shows what they print."""
    with tempfile.TemporaryDirectory(prefix="headers-", dir=root / "tmp") as scratch:
        tree = Path(scratch) / "nvi"
        copy_project(tree)
        environment = ["env", "-C", f"/{tree.relative_to(root)}", f"PYTHONPATH={LIBRARIES}"]
        pytest = ["python3", "-m", "pytest", "--color=no", "-p", "no:cacheprovider", "tests/module_build"]
        return subprocess.run(in_root(root, *environment, *pytest), check=False).returncode == 0
