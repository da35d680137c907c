"""What commands print: text, JSON, colours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nvi_operator import cli
from nvi_operator.cli import main
from tests.unit.cli.example import EXAMPLE, ROOT, Handle, drifted, nvictl, up


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


def test_explain_beside_no_spec_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.yaml").write_text("a: 1\n")
    monkeypatch.chdir(tmp_path)
    packet = ["explain", "-i", "lan0", "tcp", "192.168.1.10", "to", "192.0.2.80:443"]
    assert main(packet) == 1
    assert "hint: the spec was read from the current directory; `--on DIR` names another" in capsys.readouterr().err
    assert main([*packet, "--on", str(tmp_path)]) == 1
    assert "current directory" not in capsys.readouterr().err
