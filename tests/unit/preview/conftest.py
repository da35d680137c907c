"""A repository with the specs of gateways, and `nvictl preview` in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nvi_operator.cli import main
from tests.lab.remote import GitRemote

SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {{ name: {name} }}
spec:
  interfaces: {{ lan0: {{ networks: 192.168.1.0/24 }} }}
  uplinks:
    isp-a: {{ interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2, default: true }}
    isp-b: {{ interface: wan1, nextHop: 198.51.100.1, addresses: 198.51.100.2 }}
  sourceNat: [{{ name: everyone, as: {uplink} }}]
  forwards:
    web: {{ at: isp-a, ports: 443/tcp, to: {server} }}
"""


def spec(name: str = "edge", uplink: str = "isp-a", server: str = "192.168.1.80") -> str:
    return SPEC.format(name=name, uplink=uplink, server=server)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitRemote:
    found = GitRemote(tmp_path)
    monkeypatch.chdir(found.work)
    return found


Preview = Callable[..., tuple[int, str, str]]


@pytest.fixture
def preview(capsys: pytest.CaptureFixture[str]) -> Preview:
    """Exit code, output and errors of `nvictl preview` with these arguments."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["preview", *arguments])
        return code, *capsys.readouterr()

    return run
