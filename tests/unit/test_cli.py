"""The command line, in a process of its own: exit codes, streams, what is imported."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nvi_operator import cli
from nvi_operator.cli import applying, commands, confirming, main, options
from nvi_operator.cli.commands.rollback import _before as revision_before
from nvi_operator.cli.once import reconcile_once
from nvi_operator.cli.parser import parse
from nvi_operator.history.revision import Content, Requester, Revision, RevisionResult, Standing
from nvi_operator.history.store import History
from nvi_operator.kernel import kernel as kernel_module
from nvi_operator.language.load.loader import load_directory
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.compile import desired_state
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.outcome import Reason
from nvi_operator.state.host import HostState
from nvi_operator.testing import FakeKernel
from nvi_operator.topology.resolve import resolve
from tests.lab import command as forked

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "dual-wan"
VERBS = tuple(commands.NAMES)


def nvictl(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    if not environment:
        return forked.nvictl(list(map(str, arguments)), timeout=60)
    return subprocess.run(
        [sys.executable, "-m", "nvi_operator", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
        env={**os.environ, **environment},
    )


class Handle(FakeKernel):
    """A fake kernel where commands look for the real one."""

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def counters(self, live: HostState) -> dict[str, dict[str, int]]:
        return {"nft table inet nvi": {"stage_1": 5}} if live.objects else {}


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Commands run in this process, on a host that has every interface of the example."""
    spec = load_directory(EXAMPLE).spec
    fake = Handle(FakeKernel.for_spec(spec).facts_)

    def handle(numbers: Numbers, **_: object) -> Handle:
        return fake

    for module in (kernel_module, applying, confirming):
        monkeypatch.setattr(module, "Kernel", handle)
    monkeypatch.setenv("COLUMNS", "200")
    return fake


def up(kernel: Handle) -> None:
    loaded = load_directory(EXAMPLE)
    kernel.objects = dict(desired_state(resolve(loaded.name, loaded.spec, kernel.facts())).objects)


def drifted(kernel: Handle) -> None:
    up(kernel)
    kernel.drop([next(ref for ref, _ in kernel.state if ref.kind == "route")])


# --------------------------------------------------------------------------- exit codes


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


# --------------------------------------------------------------------------- output


@pytest.mark.parametrize("verb", ["validate", "render", "plan", "diff", "drift", "status", "apply", "down"])
@pytest.mark.parametrize("state", ["absent", "up", "drifted"])
def test_json_is_json_and_nothing_else(
    kernel: Handle, capsys: pytest.CaptureFixture[str], verb: str, state: str
) -> None:
    {"absent": lambda kernel: None, "up": up, "drifted": drifted}[state](kernel)
    main([verb, str(EXAMPLE), "-o", "json"])
    data = json.loads(capsys.readouterr().out)
    assert isinstance(data, dict)
    if verb in ("plan", "diff", "drift", "apply"):
        assert data["changes"] == len(data["steps"]) == {"absent": data["changes"], "up": 0, "drifted": 1}[state]


@pytest.mark.parametrize("verb", ["plan", "diff", "drift", "status", "apply", "down"])
def test_the_json_names_the_gateway_and_what_is_odd_about_it(
    kernel: Handle, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    main([verb, str(EXAMPLE), "-o", "json"])
    data = json.loads(capsys.readouterr().out)
    assert data["gateway"] == "edge"
    assert [note.partition(":")[0] for note in data["notes"]] == ([] if verb == "down" else ["dataplane bpf"])


@pytest.mark.parametrize("verb", ["status", "down"])
def test_without_a_spec_the_json_names_no_gateway(
    kernel: Handle, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    main([verb, "-o", "json"])
    data = json.loads(capsys.readouterr().out)
    assert (data["gateway"], data["notes"]) == (None, [])


def test_an_error_is_json_for_who_asked_for_json(
    kernel: Handle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kernel.refuse = True
    assert main(["apply", str(EXAMPLE), "-o", "json"]) == 1
    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"error": {"message": "fake: check: refused", "hint": ""}}
    assert streams.err.endswith("nvictl: fake: check: refused\n")
    file = tmp_path / "gateway.yaml"
    file.write_text((EXAMPLE / "gateway.yaml").read_text().replace("as: isp-b", "as: isp-z") + "  host: 5\n" * 2)
    assert main(["diff", str(tmp_path), "-o", "json"]) == 2
    streams = capsys.readouterr()
    error = json.loads(streams.out)["error"]
    assert streams.err == f"{error['message']}\n"
    (problem,) = error["problems"]
    assert problem == {
        "file": str(file),
        "line": problem["line"],
        "column": 3,
        "path": "",
        "message": problem["message"],
        "hint": "keep one of them, or rename one",
    }
    assert problem["message"].startswith("'host' is already defined at ")


def test_a_file_that_fails_is_an_error_in_json_too(
    kernel: Handle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(arguments: object) -> int:
        raise PermissionError(13, "Permission denied", "/run/nvi-operator")

    monkeypatch.setattr(cli, "run", fail)
    assert main(["status", "-o", "json"]) == 2
    streams = capsys.readouterr()
    assert json.loads(streams.out)["error"]["message"] == "/run/nvi-operator: Permission denied"
    assert streams.err == "nvictl: /run/nvi-operator: Permission denied\n"


def test_the_schema_is_json() -> None:
    assert json.loads(nvictl("schema").stdout)["$schema"]


def test_notes_go_to_stderr_and_not_into_the_json(kernel: Handle, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", str(EXAMPLE), "-o", "json"])
    streams = capsys.readouterr()
    json.loads(streams.out)
    assert "note: dataplane bpf" in streams.err


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False), ({}, False)],
    ids=["forced", "no-color-wins", "not-a-terminal"],
)
def test_colour_is_for_terminals_and_for_those_who_want_it(
    kernel: Handle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    coloured: bool,
) -> None:
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm-256color")
    main(["plan", str(EXAMPLE)])
    assert ("\x1b[32m" in capsys.readouterr().out) == coloured


def test_long_lines_are_not_folded_in_a_pipe(
    kernel: Handle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    main(["plan", str(EXAMPLE)])
    assert max(map(len, capsys.readouterr().out.splitlines())) > 60


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = f"{sys.executable} -m nvi_operator schema | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stderr == ""


# --------------------------------------------------------------------------- namespaces, imports


@pytest.mark.netns
def test_an_unknown_namespace_is_named_beside_those_that_exist() -> None:
    name = f"nvi-known-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        done = nvictl("status", "--netns", "nvi-unknown")
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
    assert done.returncode == 2
    assert "namespace nvi-unknown" in done.stderr
    assert name in done.stderr


def test_a_namespace_is_a_name_and_no_path() -> None:
    done = nvictl("status", "--netns", "../../proc/1/ns/net")
    assert done.returncode == 2
    assert "no such namespace" in done.stderr


@pytest.mark.parametrize("verb", ["render", "plan", "diff", "apply", "status", "drift", "run", "down", "doctor"])
def test_the_namespace_may_stand_before_the_command(verb: str) -> None:
    """As `ip -n` has it."""
    spec = [str(EXAMPLE)]
    assert parse(["--netns", "x", verb, *spec]).netns == parse([verb, "--netns", "x", *spec]).netns == "x"
    assert parse(["--netns", "x", verb, *spec]) == parse([verb, "--netns", "x", *spec])
    assert "netns" not in parse([verb, *spec])


@pytest.mark.parametrize("arguments", [("validate", str(EXAMPLE)), ("schema",), ("module", "status")])
def test_a_command_that_works_in_no_namespace_says_so(arguments: tuple[str, ...]) -> None:
    done = nvictl("--netns", "x", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{arguments[0]} works in no network namespace" in done.stderr


UNUSED = ("dataclasses", "inspect", "json", "threading")  # a third of the time of `--help`, and it needs none of them
HEAVY = ("pyroute2", "pydantic", "rich", "yaml", "nftables", "watchdog", "asyncio")


def imported(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nvi_operator", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("plan", "--help")], ids=" ".join)
def test_help_is_quick_because_it_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    assert "nvi_operator" in modules
    assert modules.isdisjoint((*HEAVY, *UNUSED))


def test_validate_needs_no_kernel_and_no_colours() -> None:
    modules = imported("validate", str(EXAMPLE))
    assert "pydantic" in modules
    assert modules.isdisjoint({"pyroute2", "rich", "nftables"})


def test_a_process_that_ends_looks_for_no_cycles_either() -> None:
    ended = (
        "import atexit, gc, sys; sys.argv = ['nvictl', 'schema']; from nvi_operator.cli import main; "
        "atexit.register(lambda: print(gc.get_freeze_count(), file=sys.stderr)); sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", ended], capture_output=True, text=True, check=True)
    assert int(done.stderr) > 0
    assert gc.get_freeze_count() == 0, "a caller goes on"


def test_a_command_looks_for_no_cycles_and_leaves_its_caller_to_do_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(cli, "run", lambda arguments: seen.append(gc.isenabled()) or 0)
    assert main(["schema"]) == 0
    assert (seen, gc.isenabled()) == ([False], True)


def test_run_without_a_directory_follows_the_operator_document_or_else_the_directory_that_it_would_be_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[object] = []

    def run_daemon(path: Path | None, **options: object) -> int:
        followed.append(path)
        return 0

    monkeypatch.setattr("nvi_operator.daemon.run.run_daemon", run_daemon)
    monkeypatch.setattr("nvi_operator.cli.document.CONFIG", tmp_path / "operator.yaml")
    monkeypatch.setattr("nvi_operator.cli.commands.run.DIRECTORY", tmp_path)
    assert main(["run"]) == 0
    head = "apiVersion: nvi-operator/v1\nkind: Operator\nspec:\n"
    (tmp_path / "operator.yaml").write_text(f"{head}  source: {{directory: /srv/spec}}\n")
    assert main(["run"]) == 0
    assert followed == [tmp_path, Path("/srv/spec")]


def test_a_rollback_leads_to_another_spec_than_the_one_that_holds(tmp_path: Path) -> None:
    """Also after a return, which repeats one."""
    tried = [
        ("web", "confirmed", None),
        ("mail", "confirmed", None),
        ("wrong", "returned", None),
        ("mail", "confirmed", 2),
    ]
    with History(tmp_path) as history:
        for text, standing, of in tried:
            revision = Revision(
                0, 1.0, "edge", "apply", Requester(0, 1), RevisionResult.APPLIED, Standing(standing), of=of
            )
            history.add(revision, Content("edge", {"a.yaml": text.encode()}))
        assert revision_before(history) == "1"
