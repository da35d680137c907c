"""Asks git for the revision of a spec directory. Never changes a repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from nvi_operator.sources.revision import CheckedOutCommit

_TIMEOUT = 10.0  # seconds


def revision(root: Path) -> CheckedOutCommit | None:
    """The git revision of `root`; None outside of a checkout, before the first commit, or if git cannot tell."""
    directory = Path(os.path.realpath(root))
    if not directory.is_dir():
        directory = directory.parent
    top = next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), None)
    if top is None:
        return None
    status = _git(top, "status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--", str(directory))
    commit = _git(top, "rev-parse", "--short", "HEAD")
    if status is None or commit is None:
        return None
    entries = [entry for entry in status.split("\0") if entry]
    heads = [entry.removeprefix("# branch.head ") for entry in entries if entry.startswith("# branch.head ")]
    branch = heads[0] if heads and heads[0] != "(detached)" else None
    dirty = any(not entry.startswith("# ") for entry in entries)
    return CheckedOutCommit(commit.strip(), branch, dirty)


def _git(top: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, takes too long, or is not installed.

    A repository's own configuration can make git run programs (filters), and we are root. So git runs as
    the owner of the repository, who can run anything as themselves anyway.
    """
    command = ["git", "-C", str(top), "-c", f"safe.directory={top}", "-c", "core.fsmonitor=false", *arguments]
    try:
        owner = (top / ".git").stat()
        foreign = os.geteuid() == 0 and owner.st_uid != 0
        done = subprocess.run(
            command,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            user=owner.st_uid if foreign else None,
            group=owner.st_gid if foreign else None,
            extra_groups=() if foreign else None,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """No variable of this process may point git elsewhere. git must not take locks that a user's git would meet."""
    return {
        "PATH": environment.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
