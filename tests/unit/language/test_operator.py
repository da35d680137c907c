"""The Operator document: what it means, and what is told of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from nvi_operator.cli import main
from nvi_operator.errors import SpecError
from nvi_operator.events.kinds import KINDS
from nvi_operator.language.load.yaml_reader import parse
from nvi_operator.language.operator.git import parse_git_url
from nvi_operator.language.operator.load import load_operator
from nvi_operator.language.operator.model import OperatorSpec
from nvi_operator.language.schema import operator_schema
from tests.unit.language.specs import BASE

HEAD = "apiVersion: nvi-operator/v1\nkind: Operator\nspec:\n"  # what a test adds begins on line 4
WHOLE = (
    HEAD
    + """\
  gateway: edge
  source: {directory: /etc/nvi-operator/gateway}
  rescan: 1m30s
  metrics: ["127.0.0.1:9478", /var/lib/nvi.prom]
  hooks:
    - /usr/local/bin/on-event
    - {to: "https://hooks.example.net/x", events: [uplink-down, uplink-up]}
"""
)


def load(text: str, directory: Path) -> OperatorSpec:
    file = directory / "operator.yaml"
    file.write_text(text)
    return load_operator(file, KINDS)


def problems(text: str, directory: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(text, directory)
    return str(caught.value).replace(f"{directory}/", "").splitlines()


def test_it_says_what_the_arguments_of_run_say(tmp_path: Path) -> None:
    spec = load(WHOLE, tmp_path)
    assert (spec.gateway, spec.source.directory, spec.rescan) == ("edge", "/etc/nvi-operator/gateway", 90.0)
    assert spec.metrics == ("127.0.0.1:9478", "/var/lib/nvi.prom")
    assert [(hook.to, hook.events) for hook in spec.hooks] == [
        ("/usr/local/bin/on-event", None),
        ("https://hooks.example.net/x", ("uplink-down", "uplink-up")),
    ]


def test_the_schema_takes_what_the_loader_takes() -> None:
    validator = jsonschema.Draft202012Validator(operator_schema())
    (document,) = parse(WHOLE, "f")
    assert list(validator.iter_errors(document.data)) == []


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://git.example.net/net.git", ("git.example.net", 443)),
        ("https://git.example.net:8443/net.git", ("git.example.net", 8443)),
        ("git@git.example.net:net/gateways.git", ("git.example.net", 22)),
        ("ssh://git@[2001:db8::1]:2222/net.git", ("2001:db8::1", 2222)),
        ("file:///srv/net.git", None),
    ],
)
def test_where_packets_to_a_remote_go(url: str, endpoint: tuple[str, int] | None) -> None:
    assert parse_git_url(url).endpoint == endpoint


SOURCE = "  source: {directory: /x}\n"
WRONG = {
    "no source": ("  rescan: 5\n", "operator.yaml:4:3: spec.source: source is missing", "add `source: ...` here"),
    "proof without git": (
        f"{SOURCE}  confirm: {{within: 5m, by: proof}}\n",
        "operator.yaml:4:3: spec: confirm.by: the proof is that the remote of source.git answers, and there is none",
        "write `by: hand`, or let checks of the Gateway decide",
    ),
    "relative path": (
        "  source: {directory: etc}\n",
        "operator.yaml:4:23: spec.source.directory: 'etc' is not an absolute path",
        "begin it with /",
    ),
    "parent": (
        "  source: {directory: /etc/../x}\n",
        "operator.yaml:4:23: spec.source.directory: '/etc/../x' has a part '..'",
        "write the path without it",
    ),
    "a shell's signs": (
        "  source: {directory: '/x;y'}\n",
        "operator.yaml:4:23: spec.source.directory: '/x;y' has characters other than letters, digits and ._@+=-",
        "rename the file",
    ),
    "a duration": (
        f"{SOURCE}  rescan: 5x\n",
        "operator.yaml:5:11: spec.rescan: '5x' is not a duration",
        "write seconds, or text such as 30s, 5m, 1h30m",
    ),
    "an event": (
        f"{SOURCE}  hooks: [{{to: /x, events: [uplink-up, uplinkdown]}}]\n",
        "operator.yaml:5:40: spec.hooks[0].events[1]: there is no event 'uplinkdown'",
        "did you mean 'uplink-down'?",
    ),
    "a signature without git": (
        f"{SOURCE}  signatures: {{keyring: /k}}\n",
        "operator.yaml:4:3: spec: signatures are of commits: they go with source.git",
        "",
    ),
    "two sources": (
        "  source: {directory: /x, git: {url: /y}}\n",
        "operator.yaml:4:11: spec.source: give directory or git, one of them",
        "",
    ),
    "a token in the address": (
        "  source: {git: {url: 'https://u:t@git.example.net/x'}}\n",
        "operator.yaml:4:23: spec.source.git.url: the address holds a user or a password: addresses are logged",
        "put the token into a file: `token: /path`",
    ),
    "ssh without keys": (
        "  source: {git: {url: 'git@git.example.net:x.git'}}\n",
        "operator.yaml:4:17: spec.source.git: an ssh remote needs key and knownHosts",
        "name the file of a deploy key, and one with the output of `ssh-keyscan HOST`",
    ),
    "a program as an address": (
        "  source: {git: {url: 'ext::sh -c x'}}\n",
        "operator.yaml:4:23: spec.source.git.url: 'ext::sh -c x' is not the address of a repository",
        "write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or file:///PATH",
    ),
    "a path out of the repository": (
        "  source: {git: {url: /y, path: ../x}}\n",
        "operator.yaml:4:33: spec.source.git.path: '../x' is not a path in the repository",
        "write it from the top, as in gateways/edge",
    ),
    "a field": (
        f"{SOURCE}  metric: 127.0.0.1:1\n",
        "operator.yaml:5:3: spec.metric: there is no field 'metric'",
        "did you mean 'metrics'?",
    ),
}


@pytest.mark.parametrize(("text", "message", "hint"), WRONG.values(), ids=WRONG)
def test_a_wrong_document_is_told_with_place_and_hint(text: str, message: str, hint: str, tmp_path: Path) -> None:
    assert problems(HEAD + text, tmp_path) == [message, *([f"  hint: {hint}"] if hint else [])]


def test_it_is_one_document_of_its_kind(tmp_path: Path) -> None:
    assert "there are several documents in it" in problems(f"{WHOLE}---\n{WHOLE}", tmp_path)[0]
    assert "there is no document in it" in problems("# nothing\n", tmp_path)[0]
    assert problems(WHOLE.replace("Operator", "Gateway"), tmp_path)[0] == (
        "operator.yaml:2:7: kind: 'Gateway' is none of 'Operator'"
    )


def test_validate_knows_it_alone_and_beside_a_gateway(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    operator = tmp_path / "operator.yaml"
    operator.write_text(WHOLE)
    assert main(["validate", str(operator)]) == 0
    assert capsys.readouterr().out == f"{operator}: valid Operator document\n"
    (tmp_path / "gateway.yaml").write_text(BASE)
    assert main(["validate", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{operator}: valid Operator document"
    operator.write_text(WHOLE.replace("1m30s", "soon"))
    assert main(["validate", str(tmp_path)]) == 1
    assert "operator.yaml:6:11: spec.rescan: 'soon' is not a duration" in capsys.readouterr().err


def test_run_takes_a_directory_or_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "--config", str(tmp_path / "operator.yaml")]) == 1
    assert "both DIR and --config" in capsys.readouterr().err
    assert main(["run", "--config", str(tmp_path / "operator.yaml")]) == 1
    assert "operator.yaml: cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_disabled_check_is_not_asked(tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    checks = "{portal: {ping: 192.0.2.1, enabled: false}, mail: {ping: 192.0.2.2}}"
    path.write_text(f"{HEAD}{SOURCE}  checks: {checks}\n")
    assert list(load_operator(path, ()).checks) == ["mail"]


def test_its_host_is_that_of_every_command_that_reads_the_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gateway.yaml").write_text(BASE + "  host: edge-1\n")
    (tmp_path / "operator.yaml").write_text(f"{HEAD}  host: edge-1\n{SOURCE}")
    assert main(["validate", str(tmp_path)]) == 0
    assert "gateway gw: valid" in capsys.readouterr().out
    assert main(["validate", "--host", "edge-2", str(tmp_path)]) == 1
    assert "no gateway matches host 'edge-2'" in capsys.readouterr().err
