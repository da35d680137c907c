"""A command is one file and one line."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
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
    assert re.search("3 greeted, 4 error:\n +greet\n", text)


@pytest.mark.usefixtures("greet")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_new_command_is_completed(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == 0
    assert "greet" in capsys.readouterr().out


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
    files = {file.stem.replace("_", "-") for file in Path(commands.__file__).parent.glob("*.py")} - {"--init--"}
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


# --------------------------------------------------------------------------- completion, man page


COMPLETED = {
    "nvictl d": ["diff", "doctor", "down", "drift"],
    "nvictl plan --det": ["--detailed-exitcode"],
    "nvictl module un": ["uninstall"],
    "nvictl completion z": ["zsh"],
    "nvictl apply sp": ["spec"],
}


@pytest.fixture
def script(tmp_path: Path, shell: str) -> Path:
    """The shell's completions, in a directory with one spec."""
    (tmp_path / "spec").mkdir()
    made = tmp_path / "completion"
    command = [sys.executable, "-m", "nvi_operator", "completion", shell]
    made.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    subprocess.run([shell, "-n", made], check=True)
    return made


def told(shell: str, code: str, directory: Path) -> list[str]:
    """Lines that the code prints. It reads no user's configuration."""
    clean = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    command = [shell, *clean, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=directory, timeout=60
    ).stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash"])
def test_bash_completes_commands_options_and_paths(script: Path, shell: str) -> None:
    def offered(words: str) -> list[str]:
        code = f"""
            source {script}
            COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _shtab_nvictl
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        return sorted(told(shell, code, script.parent))

    assert {words: offered(words) for words in COMPLETED} == COMPLETED


@pytest.mark.parametrize("shell", ["fish"])
def test_fish_completes_commands_options_and_paths(script: Path, shell: str) -> None:
    asked = "; ".join(f"complete -C '{words}'; echo" for words in COMPLETED)
    lines = "\n".join(told(shell, f"source {script}; {asked}", script.parent)).split("\n\n")
    offered = [[line.partition("\t")[0].rstrip("/") for line in each.splitlines()] for each in lines]
    assert dict(zip(COMPLETED, offered, strict=True)) == COMPLETED


@pytest.mark.parametrize("shell", ["zsh"])
def test_zsh_completes_commands_options_and_paths(script: Path, shell: str) -> None:
    """As a user presses Tab in a terminal, where one word is offered."""
    code = f"""
        zmodload zsh/zpty
        zpty terminal zsh -f -i
        ask() {{
            zpty -w -n terminal "$1"; zpty -r terminal line '*SAID:*PROMPT'
            line=${{line##*SAID:}}; print -r ${{line%%:*}}
        }}
        ask $'PROMPT=PRO""MPT; autoload -Uz compinit; compinit -u -D; eval "$(<{script})"
            nvictl() {{ print -r "SA""ID:$*:" }}; nvictl ready\n'
    """
    one = {words: offered[0] for words, offered in COMPLETED.items() if len(offered) == 1}
    asked = [f"ask $'{words}\\t\\n'" for words in one]
    lines = told(shell, "\n".join([code, *asked]), script.parent)
    whole = [f"{words.removeprefix('nvictl ').rpartition(' ')[0]} {offered}" for words, offered in one.items()]
    assert [line.rstrip("/") for line in lines] == ["ready", *whole]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make man` makes it."""
    made = tmp_path_factory.mktemp("man") / "nvictl.1"
    command = [sys.executable, "-c", "from argparse_manpage.cli import main; main()"]
    command += ["--module", "nvi_operator.cli.parser", "--function", "make_parser", "--project-name", "nvi-operator"]
    command += ["--format", "single-commands-section", "--output", str(made)]
    subprocess.run(command, check=True, env={**os.environ, "COLUMNS": "100"})
    return made


def test_the_man_page_describes_every_command_and_the_exit_codes(page: Path) -> None:
    text = page.read_text().replace("\\-", "-")
    assert all(f".SS \\fBnvictl {name}\\fR" in text for name in commands.NAMES)
    assert "plan --detailed-exitcode" in text


def test_the_man_page_is_shown_without_warnings(page: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"}
    shown = subprocess.run(
        ["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=True, env=environment
    )
    assert shown.stderr == ""
    assert "nvictl validate" in shown.stdout
