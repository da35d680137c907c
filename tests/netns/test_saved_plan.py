"""A plan that was saved is what gets applied: of just this spec, on just this kernel; and questions at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.lab import GatewayHost
from tests.lab.command import ROOT
from tests.netns.scenarios import spec
from tests.netns.test_history import WITHOUT_WEB

pytestmark = pytest.mark.netns

USER: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": [], "capture_output": True, "text": True}


def test_a_saved_plan_is_applied_where_spec_and_kernel_are_what_it_was_made_of(
    gateway: GatewayHost, tmp_path: Path
) -> None:
    gateway.apply(spec())
    directory, file = gateway.spec(WITHOUT_WEB), tmp_path / "plan"
    gateway.nvictl("plan", directory, "--out", file)

    gateway.spec(WITHOUT_WEB.replace("edge", "edge", 1).replace("name: server", "name: servers"))
    refused = gateway.nvictl("apply", file, check=False)
    assert (refused.returncode, "-    - name: server\n  +    - name: servers\n" in refused.stderr) == (1, True)
    gateway.spec(WITHOUT_WEB)

    gateway.host.run("ip", "rule", "del", "priority", "1010")
    refused = gateway.nvictl("apply", file, check=False)
    assert (
        "plan: the kernel is no longer what the plan was made of; nothing was changed:\n  + create fib-rule"
        in refused.stderr
    )
    assert gateway.differences(spec())
    gateway.apply(spec())
    gateway.spec(WITHOUT_WEB)

    assert "Applied and verified" in gateway.nvictl("apply", file).stdout
    assert not gateway.differences(WITHOUT_WEB)
    assert gateway.nvictl("apply", file, check=False).returncode == 1  # it is done already
    file.write_bytes(file.read_bytes()[:-100])
    assert "reading the plan" in gateway.nvictl("apply", file, check=False).stderr


def test_a_saved_state_gives_the_plan_of_the_gateway_to_a_user_elsewhere(gateway: GatewayHost) -> None:
    gateway.apply(spec())
    gateway.host.run("ip", "rule", "del", "priority", "1010")
    with TemporaryDirectory(prefix="nvi-saved-") as name:
        directory, file = Path(name), Path(name) / "edge.json"
        directory.chmod(0o755)
        file.write_text(gateway.nvictl("show", "state").stdout)
        (directory / "gateway.yaml").write_text(WITHOUT_WEB)
        there = json.loads(gateway.nvictl("plan", directory, "-o", "json").stdout)
        command = [sys.executable, "-m", "nvi_operator", "plan", directory, "-o", "json", "--against", file]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, **USER, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == there
    assert {step["kind"] for step in there["steps"]} == {"fib-rule", "nft-table"}


def test_down_asks_at_a_terminal(gateway: GatewayHost) -> None:
    gateway.apply(spec())
    command = [sys.executable, "-m", "nvi_operator", "down", "--netns", gateway.host.netns]
    for answer, code in ((b"n\n", 1), (b"yes\n", 0)):
        ours, theirs = pty.openpty()
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            os.write(ours, answer)
            said = bytearray()
            try:
                while part := os.read(ours, 4096):
                    said += part
            except OSError:  # the other end is closed
                pass
        os.close(ours)
        assert (process.returncode, b"Remove the gateway?" in said) == (code, True)
        assert bool(gateway.owned()) is bool(code)
