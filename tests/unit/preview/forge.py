"""A stand-in for a forge: its repository, and the part of its API that keeps comments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CI = ROOT / "examples" / "ci"


class Forge:
    """`comments` are those of pull request 7, in the form of the forge; `calls` what was asked, with its token."""

    def __init__(self, name: str, me: str, author: str) -> None:
        self.name = name
        self.comments: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, str]] = []
        self.url = ""
        self.me = me  # who the token belongs to
        self._author = author  # what an author is called: {"user": {"login": ...}} or {"author": {"username": ...}}

    def write(self, body: str, by: str) -> None:
        name = {"user": "login", "author": "username"}[self._author]
        self.comments.append({"id": len(self.comments) + 1, "body": body, self._author: {name: by}})

    def answer(self, method: str, path: str, token: str, data: Any) -> Any:
        self.calls.append((method, path, token))
        path = path.partition("?")[0]
        if path.endswith("/user"):
            return {"username": self.me}
        if method == "GET":
            return self.comments
        if method == "POST":
            self.write(data["body"], self.me)
            return self.comments[-1]
        found = next(comment for comment in self.comments if comment["id"] == int(path.rpartition("/")[2]))
        found["body"] = data["body"]
        return found


@contextmanager
def served(forge: Forge) -> Iterator[Forge]:
    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            data = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
            answer = json.dumps(forge.answer(self.command, self.path, token, data)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PATCH = do_PUT = _handle  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        forge.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()


class Runner:
    """Runs the scripts of a workflow file in `directory`, one shell for each, as a forge's runner does."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(directory.parent), **environment}

    def run(self, script: str, environment: Mapping[str, str], shell: tuple[str, ...] = ("bash", "-e")) -> Done:
        done = subprocess.run(
            [*shell, "-c", script],
            cwd=self._directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


class Done(tuple[int, str, str]):
    def __new__(cls, *parts: Any) -> Done:
        return super().__new__(cls, parts)

    @property
    def code(self) -> int:
        return self[0]


def run_actions(file: Path, runner: Runner, values: Mapping[str, str]) -> dict[str, Done]:
    """The steps with scripts of the job in a workflow of GitHub or Forgejo, but for `install`; by name.

    `values` are those of expressions. As there, after a step that fails only those with an `if` that says so are run.
    """

    def filled(given: Mapping[str, Any] | None) -> dict[str, str]:
        expression = re.compile(r"\$\{\{ *(.*?) *\}\}")
        return {
            name: expression.sub(lambda found: values[found[1]], str(value)) for name, value in (given or {}).items()
        }

    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    done: dict[str, Done] = {}
    for step in job["steps"]:
        failed = any(each.code for each in done.values())
        if "run" not in step or step["name"] == "install" or (failed and step.get("if") != "${{ !cancelled() }}"):
            continue
        assert "${{" not in step["run"], "an expression in a script is a hole: its value may be anyone's"
        environment = {**filled(workflow.get("env")), **filled(job.get("env")), **filled(step.get("env"))}
        done[step["name"]] = runner.run(step["run"], environment)
    return done


def run_gitlab(file: Path, runner: Runner, values: Mapping[str, str]) -> dict[str, Done]:
    """`script` and `after_script` of the job, each in a shell of its own."""
    (job,) = yaml.safe_load(file.read_text(encoding="utf-8")).values()
    environment = {**job["variables"], **values}
    shell = ("bash", "-eo", "pipefail")
    return {name: runner.run("\n".join(job[name]), environment, shell) for name in ("script", "after_script")}
