"""A git repository elsewhere, and an author who pushes to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_AUTHOR = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.net",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.net",
}


class GitRemote:
    """`url` is what an operator fetches."""

    def __init__(self, directory: Path, object_format: str = "sha1") -> None:
        self.path = directory / "remote.git"
        self.work = directory / "work"
        options = ("-q", "-b", "main", f"--object-format={object_format}")
        self.git("init", *options, "--bare", str(self.path), cwd=directory)
        self.git("init", *options, str(self.work), cwd=directory)
        self.git("remote", "add", "origin", str(self.path))

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.work,
            env={**os.environ, "HOME": str(self.path.parent), **_AUTHOR, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | None], *options: str, push: bool = True, **environment: str) -> str:
        """The commit, on top of what is there; None removes a file."""
        for name, text in files.items():
            file = self.work / name
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change", *options, **environment)
        if push:
            self.push()
        return self.git("rev-parse", "HEAD")

    def push(self, *refs: str) -> None:
        self.git("push", "-q", "--force", "origin", *(refs or ("HEAD",)))
