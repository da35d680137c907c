"""A command is one file and one line."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from nvi_operator.cli import commands, main
from nvi_operator.cli.parser import make_parser, parse

GREET = """
from nvi_operator.cli import options
from nvi_operator.cli.command import Command, Exits
from nvi_operator.cli.context import Context


def run(context: Context) -> int:
    print(f"hello {context.load().name}")
    return 3


EXITS = Exits("3 greeted, 4 error", error=4)
COMMAND = Command("greet", "greet a gateway", (options.spec, options.output), run, EXITS)
"""
SPEC = """
apiVersion: nvi-operator/v1
kind: Gateway
metadata: { name: edge }
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  uplinks: { isp-a: { interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true } }
"""


@pytest.fixture
def greet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of a temporary module."""
    (tmp_path / "greet.py").write_text(GREET)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.setattr(commands, "NAMES", [*commands.NAMES, "greet"])
    importlib.invalidate_caches()


@pytest.mark.usefixtures("greet")
def test_a_new_command_is_in_the_help_with_its_exit_codes() -> None:
    text = make_parser().format_help()
    assert re.search("greet +greet a gateway", text)
    assert re.search("greet +3 greeted, 4 error", text)


@pytest.mark.usefixtures("greet")
def test_a_new_command_is_parsed_and_run_and_has_exit_codes_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "edge.yaml"
    spec.write_text(SPEC)
    assert parse(["greet", str(spec), "-o", "json"]).output == "json"
    assert main(["greet", str(spec)]) == 3
    assert capsys.readouterr().out == "hello edge\n"
    assert main(["greet", str(tmp_path / "none")]) == 4
    with pytest.raises(SystemExit) as ended:
        main(["greet", "--unknown"])
    assert ended.value.code == 4
    with pytest.raises(SystemExit):
        main(["--netns", "x", "greet", str(spec)])
    assert "greet works in no network namespace" in capsys.readouterr().err


def test_every_file_of_a_command_is_listed_and_named_after_it() -> None:
    files = {file.stem for file in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(commands.NAMES)
    assert all(name == command.name for name, command in commands.load().items())
    assert all((command.run is None) == bool(command.actions) for command in commands.load().values())


# As problem matchers for GCC have it, where "error:" is optional.
MATCHER = re.compile(r"^(.+?):(\d+):(\d+):\s+(?:(?:fatal\s+)?(?:warning|error):\s+)?(.+)$")


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "diff"])
def test_each_problem_of_a_spec_is_a_line_that_editors_and_ci_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    spec = tmp_path / "edge.yaml"
    spec.write_text(SPEC.replace("192.168.1.0/24", "x").replace("203.0.113.2", "y"))
    assert main([command, str(tmp_path)]) != 0
    lines = capsys.readouterr().err.splitlines()
    found = [match.groups() for line in lines if (match := MATCHER.match(line))]
    assert [(file, int(line)) for file, line, _, _ in found] == [(str(spec), 6), (str(spec), 7)]
    assert all(message.startswith("spec.") for *_, message in found)
    assert all(line.startswith("  hint: ") for line in lines if not MATCHER.match(line))
