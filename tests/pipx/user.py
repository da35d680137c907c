"""A user with a home of their own, who has installed nvictl by pipx as docs/how-to/install.md says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from tests.lab.command import ROOT
from tests.vm.root import copy_project

HOW_TO = ROOT / "docs/how-to/install.md"
REPOSITORY = "https://github.com/YOU/nvi-operator"
INSTALL = f"pipx install git+{REPOSITORY}"
NOBODY = 65534
_AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.net")


class User:
    """`home` is a directory that there is not yet. What git gets from REPOSITORY is the tree of this checkout."""

    def __init__(self, home: Path, uid: int) -> None:
        self.home = home
        self._ids: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        self.environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{home}/.local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
        }
        home.mkdir()
        copy_project(home / "project")
        os.chown(home, uid, uid)
        for directory, _, files in os.walk(home / "project"):
            for name in (".", *files):
                os.chown(Path(directory, name), uid, uid)
        self.run("git", "init", "-q", "project")
        self.run("git", "-C", "project", "add", "-A")
        self.run("git", "-C", "project", *_AUTHOR, "commit", "-q", "-m", "all of it")
        self.run("git", "config", "--global", f"url.file://{home}/project.insteadOf", REPOSITORY)

    def run(self, *words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False, **self._ids
        )
        assert not (check and done.returncode), f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done
