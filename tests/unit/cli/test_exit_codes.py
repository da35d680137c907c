"""Exit codes, and what goes to stderr with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nvi_operator.cli import commands, main, options
from nvi_operator.cli.nat import WHAT
from nvi_operator.cli.once import reconcile_once
from nvi_operator.language.load.loader import load_directory
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.outcome import Reason
from tests.unit.cli.example import EXAMPLE, VERBS, Handle, drifted, nvictl, up

EXITS: dict[str, tuple[tuple[str, ...], int, int, int]] = {
    # command: nothing there, as the spec says, drifted
    "plan": (("plan", str(EXAMPLE)), 0, 0, 0),
    "plan-detailed": (("plan", str(EXAMPLE), "--detailed-exitcode"), 2, 0, 2),
    "diff": (("diff", str(EXAMPLE)), 1, 0, 1),
    "drift": (("drift", str(EXAMPLE)), 1, 0, 1),
    "status": (("status", str(EXAMPLE)), 1, 0, 1),
    "status-without-spec": (("status",), 1, 0, 0),
    "render": (("render", str(EXAMPLE)), 0, 0, 0),
    "validate": (("validate", str(EXAMPLE)), 0, 0, 0),
    "schema": (("schema",), 0, 0, 0),
}


@pytest.mark.parametrize(("arguments", "absent", "same", "different"), EXITS.values(), ids=EXITS)
def test_exit_codes_say_whether_there_is_a_difference(
    kernel: Handle, arguments: tuple[str, ...], absent: int, same: int, different: int
) -> None:
    assert main(arguments) == absent
    up(kernel)
    assert main(arguments) == same
    drifted(kernel)
    assert main(arguments) == different
    assert not kernel.applied, "looking changes nothing"


def test_render_needs_no_nftables_binding() -> None:
    """On the machine of whoever reviews a change there need be none."""
    code = (
        "import sys; sys.modules['nftables'] = None; from nvi_operator.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "render", str(EXAMPLE)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "table inet nvi" in done.stdout


def test_apply_and_down_are_done_or_an_error(kernel: Handle, capsys: pytest.CaptureFixture[str]) -> None:
    def last_line(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out.splitlines()[-1]

    planned = last_line("plan", str(EXAMPLE))
    count = planned.removesuffix(" to create.")
    assert count.isdecimal()
    assert last_line("apply", str(EXAMPLE)) == f"Applied and verified: {count} created."
    assert kernel.objects
    assert last_line("apply", str(EXAMPLE)) == "No changes. The gateway is as the spec says."
    assert last_line("down") == f"Removed and verified: {count} deleted."
    assert last_line("down") == "No changes. There is no gateway here."
    up(kernel)
    assert main(["down", str(EXAMPLE), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert not kernel.objects
    kernel.refuse = True
    assert main(["apply", str(EXAMPLE)]) == 1
    streams = capsys.readouterr()
    assert (streams.out, streams.err) == ("", "nvictl: fake: check: refused\n")


def test_the_outcome_of_a_command_has_what_a_daemons_has(kernel: Handle) -> None:
    loaded = load_directory(EXAMPLE)
    compiler = Compiler(loaded.name, loaded.spec)
    done = reconcile_once(kernel, compiler)
    assert (done.gateway, done.reasons, done.failed) == (loaded.name, {Reason.COMMAND}, False)
    assert done.plan
    assert 0 < done.seconds < 60
    drifted(kernel)
    kernel.refuse = True
    refused = reconcile_once(kernel, compiler)
    assert (refused.gateway, refused.reasons, refused.failed) == (loaded.name, {Reason.COMMAND}, True)
    assert [error.message for error in refused.errors] == ["fake: check: refused"]
    assert 0 < refused.seconds < 60
    assert not refused.plan


def test_an_apply_is_a_screen_and_all_lines_are_there_for_the_asking(
    kernel: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(*arguments: str) -> list[str]:
        assert main(arguments) == 0
        return capsys.readouterr().out.splitlines()

    planned = lines("plan", str(EXAMPLE), "--full")
    assert len(planned) > 100
    for option in ("-v", "--full"):
        assert lines("apply", option, str(EXAMPLE))[:-1] == planned[:-1]
        taken = lines("down", option)
        assert len(taken) > 50
    assert len(lines("apply", str(EXAMPLE))) <= 24
    assert len(lines("down")) <= 24


def test_the_table_of_exit_codes_in_the_help_names_every_command() -> None:
    shown = nvictl("--help").stdout
    table = shown[shown.index("exit codes:") :]
    assert set(VERBS) <= set(table.split())
    assert max(map(len, table.splitlines())) < 80


def test_the_help_of_a_command_ends_with_its_exit_codes() -> None:
    assert nvictl("status", "--help").stdout.endswith(
        "exit codes: 0 in sync and working, 1 degraded or not applied, 2 error\n"
    )


def test_a_misspelt_command_is_told_with_the_one_that_is_meant() -> None:
    assert nvictl("aply").stderr.endswith("nvictl: error: there is no command 'aply': did you mean 'apply'?\n")
    assert nvictl("show", "xyz").stderr.endswith("there is no action 'xyz': `nvictl show --help` lists them\n")


def test_who_leaves_out_what_to_show_reads_what_there_is() -> None:
    done = nvictl("show", "nat")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split()[3] for line in done.stderr.splitlines() if " show nat " in line] == list(WHAT)
    assert max(map(len, done.stderr.splitlines())) <= 80


@pytest.mark.parametrize("command", [name for name, command in commands.load().items() if command.actions])
def test_who_leaves_out_the_action_of_a_command_reads_what_there_is(command: str) -> None:
    done = nvictl(command)
    assert (done.returncode, done.stdout) == (1, "")
    for action in commands.load()[command].actions:
        assert f"\n  {action.name}" in done.stderr


def test_who_gives_no_command_reads_where_they_are_listed() -> None:
    assert nvictl().stderr.endswith("nvictl: error: no command was given: `nvictl --help` lists them\n")


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (verb, 2 if verb in ("diff", "drift", "simulate") else 1)
        for verb in VERBS
        if options.spec in commands.load()[verb].options
    ],
)
def test_trouble_has_an_exit_code_of_its_own_and_goes_to_stderr(verb: str, code: int) -> None:
    done = nvictl(verb, "/nowhere/at/all")
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("/nowhere/at/all:1:1: ")
    assert "Traceback" not in done.stderr


def test_every_problem_of_a_spec_is_told_with_its_place(tmp_path: Path) -> None:
    text = (EXAMPLE / "gateway.yaml").read_text().replace("as: isp-b", "as: isp-z").replace("192.168.1.0/24", "x")
    (tmp_path / "gateway.yaml").write_text(text)
    done = nvictl("validate", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "gateway.yaml:10:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("aply",), 1),
        (("plan", "--detailed-exitcode"), 1),  # 2 means that there are changes
        (("diff",), 2),  # 1 means that there is a difference
        (("drift", "--fulll", "."), 2),
        (("apply", ""), 1),
        (("plan", "--netns", "", "."), 1),
        (("run", "--rescan", "0", "."), 1),
        (("run", "--rescan", "nan", "."), 1),
        (("run", "--rescan", "inf", "."), 1),
        (("run", "--rescan", "soon", "."), 1),
    ],
)
def test_wrong_usage_is_an_error_like_others(arguments: tuple[str, ...], code: int) -> None:
    done = nvictl(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert "usage: nvictl" in done.stderr


@pytest.mark.parametrize(("verb", "code"), [("render", 1), ("validate", 1), ("schema", 1)])
def test_output_that_cannot_be_written_is_told(verb: str, code: int) -> None:
    arguments = [verb] if verb == "schema" else [verb, str(EXAMPLE)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nvi_operator", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (code, "nvictl: output: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_do_no_harm(closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m nvi_operator render {EXAMPLE} {closed}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_is_no_news() -> None:
    command = f"{sys.executable} -m nvi_operator validate {EXAMPLE}; echo $? >&2"
    done = subprocess.run(["bash", "-c", f"({command}) | true"], capture_output=True, text=True, check=False)
    assert done.stderr in ("0\n", "1\n")


@pytest.mark.parametrize("name", ["x" * 300, "absent/x.yaml"])
def test_a_name_that_no_file_can_have_is_a_plain_error(name: str) -> None:
    done = nvictl("validate", name)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}:1:1: cannot be read: ")
