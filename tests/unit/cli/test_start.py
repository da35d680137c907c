"""How a command starts: in which namespace, with which modules, and for which directory."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nvi_operator import cli
from nvi_operator.cli import main
from nvi_operator.cli.commands.rollback import _before as revision_before
from nvi_operator.cli.parser import parse
from nvi_operator.daemon.run import RunOptions
from nvi_operator.history.revision import Content, Requester, Revision, RevisionResult, Standing
from nvi_operator.history.store import History
from tests.unit.cli.example import EXAMPLE, ROOT, nvictl


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

    def run_daemon(asked: RunOptions) -> int:
        followed.append(asked.path)
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


def test_a_pydantic_that_asks_its_finder_of_plugins_for_more_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    monkeypatch.setitem(sys.modules, "pydantic.plugin._loader", None)  # so that it is put back
    cli._look_for_no_plugins()
    finder = sys.modules["pydantic.plugin._loader"]
    assert list(finder.get_plugins()) == []
    assert finder.PYDANTIC_ENTRY_POINT_GROUP == "pydantic"
    assert sys.modules["pydantic.plugin._loader"] is not finder
