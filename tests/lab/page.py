"""A page of the documentation, run as it stands: `python -m tests.lab.page docs/tutorial.md`.

Its blocks, by the first word of their fence:

    ```console          commands, each after a prompt that names the host (`gw# `, `client$ `), and what they print
    ```yaml title=FILE  a file of the spec
    ```diff title=FILE  an edit of it, by its lines with `-`, `+` and a blank
    ```sh               commands for a machine of one's own: not run

Within a console block a line `...` stands for any number of lines. `varies=seconds,commit` behind the fence's first
word names what differs from run to run (`VARIES`); all else is compared to the letter. Renderers show none of it.

Commands run in the spec's directory, which the page calls /etc/nvi-operator. `systemctl` and `journalctl` are the
only stand-ins: they start the unit's ExecStart and show what it prints.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.command import ROOT
from tests.lab.dataplanes import dataplanes
from tests.lab.net import Host, Lab, until
from tests.lab.topologies import dual_wan

DIRECTORY = "/etc/nvi-operator"
UNIT = ROOT / "packaging/nvi-operator.service"
PROMPT = re.compile(r"^(\w+)[#$] (.+)$")
REST = "..."

VARIES = {
    "seconds": r"\d+(\.\d+)? ?m?s\b",
    "commit": r"\b[0-9a-f]{7,40}\b",
    "count": r"\b\d+\b",
    "objects": r"\b\d+ ((eBPF program|ip rule|route|setting|nft object|nft rule)s?|(to )?(create|update|delete)d?)\b",
    "actor": r"(?<=: drift)( by .*)?$",  # a process that has ended cannot be named
    "machine": r"dataplane bpf: auto, and .*|Linux \S+$",
}


@dataclass(frozen=True)
class Command:
    """`output` starts at line `start` of the page (from 0) and has `len(output)` lines."""

    host: str
    text: str
    start: int
    output: tuple[str, ...]
    varies: tuple[str, ...]


@dataclass(frozen=True)
class File:
    name: str
    text: str


@dataclass(frozen=True)
class Edit:
    name: str
    old: str
    new: str


Step = Command | File | Edit


def steps(page: str) -> Iterator[Step]:
    """What a page has to be done, in its order."""
    lines = page.splitlines()
    number = 0
    while number < len(lines):
        fence = re.match(r"^```(\w+)\s*(.*)$", lines[number])
        number += 1
        if fence is None:
            continue
        end = lines.index("```", number)
        body = lines[number:end]
        words = dict(word.partition("=")[::2] for word in fence[2].split())
        if fence[1] == "console":
            varies = tuple(filter(None, words.get("varies", "").split(",")))
            yield from _commands(body, number, varies)
        elif fence[1] == "yaml" and "title" in words:
            yield File(words["title"], "".join(f"{line}\n" for line in body))
        elif fence[1] == "diff":
            old, new = ("".join(f"{line[1:]}\n" for line in body if line[:1] in (" ", sign)) for sign in ("-", "+"))
            yield Edit(words["title"], old, new)
        number = end + 1


def _commands(body: Sequence[str], first: int, varies: tuple[str, ...]) -> Iterator[Command]:
    starts = [at for at, line in enumerate(body) if PROMPT.match(line)]
    assert starts[:1] == [0], f"line {first + 1}: a console block starts with a prompt"
    for at, end in zip(starts, [*starts[1:], len(body)], strict=True):
        prompt = PROMPT.match(body[at])
        assert prompt
        yield Command(prompt[1], prompt[2], first + at + 1, tuple(body[at + 1 : end]), varies)


def same(expected: Sequence[str], seen: Sequence[str], varies: Sequence[str]) -> bool:
    """Whether the page is true: `...` is any number of lines, and what varies is taken out of both."""
    pieces, pattern = list(_without(expected, varies)), ""
    for line in pieces:
        pattern += "(?:.*\n)*" if line == REST else re.escape(line) + "\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _without(seen, varies))) is not None


def _without(lines: Sequence[str], varies: Sequence[str]) -> Iterator[str]:
    for line in lines:
        for name in varies:
            line = re.sub(VARIES[name], f"<{name}>", line)
        yield re.sub(r" {2,}", "  ", line.rstrip())  # columns are as wide as what varies in them


def merged(expected: Sequence[str], seen: Sequence[str]) -> tuple[str, ...]:
    """What the page should show: as many lines at the start and the end as it showed, around its `...`."""
    if REST not in expected:
        return tuple(seen)
    head = expected.index(REST)
    tail = len(expected) - head - 1
    return (*seen[:head], REST, *(seen[-tail:] if tail else ()))


class Journal:
    """The unit as systemd would run it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._process: subprocess.Popen[str] | None = None
        self._log = session.scratch / "journal"
        self._log.touch()

    def systemctl(self, arguments: Sequence[str]) -> None:
        verb = arguments[0]
        if verb in ("enable", "start"):
            command = re.search(r"^ExecStart=(.*)$", UNIT.read_text(encoding="utf-8"), re.M)
            assert command
            line = command[1].replace("/opt/nvi-operator/.venv/bin/", "")
            assert line == "nvictl run"  # which follows this directory where no operator.yaml is in it
            argv = ["bash", "-c", "exec " + self._session.local(f"{line} /etc/nvi-operator")]
            with self._log.open("a", encoding="utf-8") as log:
                self._process = self._session.hosts["gw"].popen(
                    *argv, stdout=log, stderr=log, env=self._session.environment
                )
        elif verb in ("disable", "stop"):
            self.stop()
        else:
            raise AssertionError(f"systemctl {verb}: not known here")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(20) == 0
            self._process = None

    def show(self, arguments: Sequence[str]) -> str:
        """`-n N`: the last N lines."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        count = int(arguments[arguments.index("-n") + 1]) if "-n" in arguments else len(lines)
        return "\n".join(lines[-count:])


@dataclass
class Session:
    """The hosts of a page, and the directory that its commands are run in."""

    lab: Lab
    scratch: Path
    hosts: dict[str, Host] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        site = dual_wan(self.lab)
        # What it sends has its public address, as a machine on the internet would.
        for number, network in ((1, "203.0.113.0/24"), (2, "198.51.100.0/24")):
            site.far.ip(f"route replace {network} via 172.31.{number}.1 src {site.far.address}")
        self.hosts = {"gw": site.gateway, "client": site.client, "server": site.server, "outside": site.far}
        (self.scratch / "bin").mkdir()
        self.directory.mkdir()
        nvictl = self.scratch / "bin/nvictl"
        nvictl.write_text(
            f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m nvi_operator "$@"\n', encoding="utf-8"
        )
        nvictl.chmod(0o755)
        self.environment = {
            "PATH": f"{self.scratch}/bin:{os.environ['PATH']}",
            "HOME": str(self.scratch),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": str(self.scratch),
        }
        self.journal = Journal(self)
        self._greeters = [
            host.popen(sys.executable, "-c", _GREETER, name, port)
            for host, name, port in ((site.far, "outside", "80"), (site.server, "server", "8080"))
        ]
        for host, url in ((site.far, "localhost"), (site.server, "localhost:8080")):
            host.run("curl", "-s", "--retry", "50", "--retry-delay", "0", "--retry-connrefused", url)

    @property
    def directory(self) -> Path:
        return self.scratch / "spec"

    def local(self, text: str) -> str:
        return text.replace(DIRECTORY, str(self.directory))

    def run(self, command: Command) -> tuple[str, ...]:
        """What a terminal would show."""
        argv = shlex.split(command.text)
        if argv[0] == "systemctl":
            self.journal.systemctl(argv[1:])
            return ()
        if argv[0] == "journalctl":
            return self._lines(self.journal.show(argv[1:]))
        done = subprocess.run(
            ["ip", "netns", "exec", self.hosts[command.host].netns, "bash", "-c", self.local(command.text)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            cwd=self.directory,
            env=self.environment,
        )
        return self._lines(done.stdout)

    def _lines(self, text: str) -> tuple[str, ...]:
        text = re.sub(r"@if\d+\b", "", text.replace(str(self.directory), DIRECTORY))  # cards have no peers
        return tuple(line.rstrip() for line in text.splitlines())

    def close(self) -> None:
        try:
            self.journal.stop()
        finally:
            for process in self._greeters:
                process.kill()
                process.wait()


_GREETER = """\
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{sys.argv[1]}: hello, {self.client_address[0]}\\n".encode())

    def log_message(self, *_):
        pass

HTTPServer(("", int(sys.argv[2])), Greeter).serve_forever()
"""


@dataclass(frozen=True)
class Untrue:
    """A command that prints something other than the page has."""

    command: Command
    seen: tuple[str, ...]

    def __str__(self) -> str:
        parts = (f"line {self.command.start}: {self.command.text}", *self.command.output, "prints", *self.seen)
        return "\n".join(parts)


def run(page: str) -> list[Untrue]:
    """Do what a page says; what is not as it says. A command of the journal has 20 s to become true."""
    # With the module a gateway is the same but for its device, which the page does not show.
    module = "kmod" in dataplanes()
    untrue = []
    with Lab() as lab, TemporaryDirectory(prefix="nvi-page-") as scratch:
        session = Session(lab, Path(scratch))
        try:
            for step in steps(page):
                if isinstance(step, File):
                    (session.directory / step.name).write_text(step.text, encoding="utf-8")
                elif isinstance(step, Edit):
                    _edit(session.directory / step.name, step)
                else:
                    seen = _run(session, step)
                    if not same(step.output, seen, step.varies) and not (module and "machine" in step.varies):
                        untrue.append(Untrue(step, seen))
        finally:
            session.close()
    return untrue


def _run(session: Session, command: Command) -> tuple[str, ...]:
    if not command.text.startswith("journalctl"):
        return session.run(command)
    seen: tuple[str, ...] = ()

    def true() -> bool:
        nonlocal seen
        seen = session.run(command)
        return bool(seen) and same(command.output, seen, command.varies)

    with suppress(AssertionError):
        until(true, "the journal", seconds=20)
    return seen


def _edit(file: Path, edit: Edit) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(edit.old) == 1, f"{edit.name} has the old lines {text.count(edit.old)} times:\n{edit.old}"
    # A new file under the old name, as an editor saves it.
    new = file.with_suffix(".new")
    new.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    new.rename(file)


def written(page: str, untrue: Sequence[Untrue]) -> str:
    """The page with what was seen."""
    lines = page.splitlines()
    for found in sorted(untrue, key=lambda found: -found.command.start):
        start, expected = found.command.start, found.command.output
        lines[start : start + len(expected)] = merged(expected, found.seen)
    return "\n".join(lines) + "\n"


def main() -> int:
    for name in sys.argv[1:]:
        page = Path(name)
        text = page.read_text(encoding="utf-8")
        untrue = run(text)
        page.write_text(written(text, untrue), encoding="utf-8")
        print(
            f"{page}: {len(untrue)} commands print something else now; read the diff" if untrue else f"{page}: true"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
