"""A plan that was saved is what gets applied: of just this spec, on just this kernel; and questions at a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import GatewayHost
from tests.netns.scenarios import spec
from tests.netns.test_history import WITHOUT_WEB

pytestmark = pytest.mark.netns


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
