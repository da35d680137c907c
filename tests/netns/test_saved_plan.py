"""A plan that was saved is what gets applied: of just this spec, on just this kernel; and questions at a terminal."""

from __future__ import annotations

import json
import os
import pty
import socket
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from nvi_operator import __version__
from nvi_operator.plan.sealed import sealed
from nvi_operator.rollout.saved_plan import MAGIC
from tests.lab import GatewayHost, Lab, Site, dual_wan
from tests.lab.command import ROOT
from tests.lab.daemon import Daemon
from tests.netns.scenarios import spec
from tests.netns.test_history import WITHOUT_WEB

pytestmark = pytest.mark.netns

# nvictl that shows at once what it is busy with.
AT_ONCE = """
import sys
from nvi_operator.cli import main
from nvi_operator.view import progress

progress.SECONDS = 0.0
sys.exit(main())
"""

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
        "plan: the kernel is no longer what the plan was made of; it is not applied:\n  + create fib-rule"
        in refused.stderr
    )
    assert gateway.differences(spec())
    gateway.apply(spec())
    gateway.spec(WITHOUT_WEB)

    assert "Applied and verified" in gateway.nvictl("apply", file).stdout
    assert not gateway.differences(WITHOUT_WEB)
    assert gateway.nvictl("apply", file, check=False).returncode == 1  # it is done already


def test_a_saved_plan_is_for_the_machine_and_the_namespace_that_it_was_made_in(
    gateway: GatewayHost, tmp_path: Path
) -> None:
    """A spare machine with the same interfaces, and the same spec, would take the same steps."""
    file = tmp_path / "plan"
    gateway.nvictl("plan", gateway.spec(spec()), "--out", file)
    command = [sys.executable, "-m", "nvi_operator", "apply", str(file), "--netns", gateway.host.netns]
    elsewhere = ["unshare", "--uts", "sh", "-c", 'hostname spare && exec "$@"', "sh", *command]
    done = subprocess.run(elsewhere, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, f"plan: it was made on {os.uname().nodename}, and this is spare" in done.stderr) == (
        1,
        True,
    )
    with Lab() as lab:
        twin = GatewayHost(dual_wan(lab).gateway)
        refused = twin.nvictl("apply", file, check=False)
        assert "plan: it was made in another network namespace" in refused.stderr
        assert twin.nvictl("status", check=False).returncode != 0
    assert "Applied and verified" in gateway.nvictl("apply", file).stdout


def test_a_plan_that_another_lease_would_change_is_refused_before_its_first_step(
    gateway: GatewayHost, tmp_path: Path
) -> None:
    file = tmp_path / "plan"
    gateway.nvictl("plan", gateway.spec(spec().replace("addresses: 203.0.113.2", "addresses: auto")), "--out", file)
    gateway.host.ip("addr del 203.0.113.2/29 dev wan0", "addr add 203.0.113.3/29 dev wan0")
    refused = gateway.nvictl("apply", file, check=False)
    assert "plan: the kernel is no longer what the plan was made of; it is not applied" in refused.stderr
    assert "nvi0" not in gateway.host.run("ip", "-br", "link").stdout


def test_a_plan_of_another_version_is_applied_where_it_is_the_same_steps_and_the_version_is_told(
    gateway: GatewayHost, tmp_path: Path
) -> None:
    """As where nvictl is upgraded between the review and the apply."""
    file = tmp_path / "plan"
    gateway.nvictl("plan", gateway.spec(spec()), "--out", file)
    mark, _, rest = file.read_bytes().partition(b",")
    made = json.loads(b"{" + rest)

    def of_another_version(steps: list[Any]) -> None:
        altered = {name: value for name, value in made.items() if name != "sha256"} | {
            "nvictl": "0.0.9",
            "steps": steps,
        }
        file.write_bytes(mark + b"," + sealed(altered)[1:])

    of_another_version(made["steps"][1:])
    refused = gateway.nvictl("apply", file, check=False)
    assert refused.returncode == 1
    assert f"plan: the kernel or nvictl (0.0.9 then, {__version__} now) is no longer what" in refused.stderr
    assert gateway.owned() == []

    of_another_version(made["steps"])
    done = gateway.nvictl("apply", file)
    assert f"nvictl 0.0.9 made it, and this is {__version__}" in done.stderr
    assert not gateway.differences(spec())


def test_an_included_file_is_a_part_of_the_plan(gateway: GatewayHost, tmp_path: Path) -> None:
    file, text = tmp_path / "plan", spec() + "  forwardsFrom: many.csv\n"
    directory = gateway.spec(text)
    many = directory / "many.csv"
    many.write_text("name,at,ports,to\nmail,isp-a,25/tcp,192.168.1.80\n")
    gateway.nvictl("plan", directory, "--out", file)
    many.write_text("name,at,ports,to\nmail,isp-a,26/tcp,192.168.1.80\n")
    assert "planned/many.csv" in gateway.nvictl("apply", file, check=False).stderr


def test_a_damaged_or_edited_plan_is_told_and_no_other_file_becomes_one(gateway: GatewayHost, tmp_path: Path) -> None:
    directory, file = gateway.spec(spec()), tmp_path / "plan"
    file.touch(0o644)  # as by mktemp, and open to others
    gateway.nvictl("plan", directory, "--out", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    good = file.read_bytes()
    steps = good.index(b'"action":"create"')
    for bad, why in (
        (good[:-100], "reading the plan"),
        (
            good[:steps] + good[steps:].replace(b"create", b"update", 1),
            "its checksum differs: it was damaged or edited",
        ),
        (MAGIC + b'3,"a":' + b"[" * 100_000, "reading the plan: "),
        (MAGIC + b'2,"a":1}', "reading the plan of nvictl unknown by"),
    ):
        file.write_bytes(bad)
        refused = gateway.nvictl("apply", file, check=False)
        assert (refused.returncode, why in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)
    refused = gateway.nvictl("plan", directory, "--out", directory / "gateway.yaml", check=False)
    assert "it is there already, and is not a saved plan" in refused.stderr
    assert (directory / "gateway.yaml").read_text() == spec()
    (link := tmp_path / "link").symlink_to(file)  # as /dev/stdout is one
    file.write_bytes(b"")
    gateway.nvictl("plan", directory, "--out", link)
    assert (link.is_symlink(), file.read_bytes()) == (True, good)
    assert gateway.nvictl("plan", directory, "--out", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()


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


def answered(gateway: GatewayHost, answer: bytes, *arguments: object) -> tuple[int, bytes]:
    """The exit code of nvictl at a terminal, and what stood there."""
    command = [sys.executable, "-c", AT_ONCE, *map(str, arguments), "--netns", gateway.host.netns]
    ours, theirs = pty.openpty()
    at_xterm = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=at_xterm) as process:
        os.close(theirs)
        said, asked = bytearray(), False
        try:
            while part := os.read(ours, 4096):
                said += part
                if b"? " in said and not asked:
                    asked = True
                    os.write(ours, answer)
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    return process.returncode, bytes(said)


def test_down_asks_at_a_terminal(gateway: GatewayHost) -> None:
    gateway.apply(spec())
    for answer, expected in ((b"n\n", 1), (b"yes\n", 0)):
        code, said = answered(gateway, answer, "down")
        assert (code, b"Remove the gateway?" in said) == (expected, True)
        assert bool(gateway.owned()) is bool(expected)


def test_nothing_is_asked_where_down_is_refused(gateway: GatewayHost, tmp_path: Path) -> None:
    gateway.apply(spec())
    gateway.nvictl("suspend", "--reason", "a test")
    code, said = answered(gateway, b"y\n", "down")
    assert (code, b"changes are suspended" in said, b"Remove the gateway?" in said) == (1, True, False), said
    gateway.nvictl("resume")
    daemon = Daemon(gateway.host, gateway.spec(spec()), tmp_path / "log")
    try:
        daemon.until("in sync")
        code, said = answered(gateway, b"y\n", "down")
        assert (code, b"is running" in said, b"Remove the gateway?" in said) == (1, True, False), said
    finally:
        daemon.stop()


def test_an_apply_that_ends_live_flows_asks_at_a_terminal(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    site.server.serve(443)
    site.server.serve(8443)
    with site.far.connect("203.0.113.2", 443) as flow:
        assert flow.by == "server"
        code, said = answered(gateway, b"n\n", "apply", gateway.spec(WITHOUT_WEB))
        assert (code, b"1 flow stranded" in said, b"End these flows?" in said) == (1, True, True), said
        assert not gateway.differences(spec())
        code, said = answered(gateway, b"y\n", "apply", gateway.spec(WITHOUT_WEB))
        assert (code, b"1 ended" in said) == (0, True), said
        assert b"End these flows? [y/N] y\r\n" in said, "nothing is drawn over the question"
    assert b"End these flows?" not in answered(gateway, b"", "apply", gateway.spec(spec()))[1], "none is live"


def test_an_apply_asks_nothing_about_flows_that_no_one_has_answered(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    with site.far.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello\n", ("203.0.113.2", 5060))
        forward = "  forwards:\n    sip: { at: isp-a, ports: 5060/udp, to: 192.168.1.80 }\n"
        code, said = answered(gateway, b"n\n", "apply", gateway.spec(spec().replace("  forwards:\n", forward)))
    assert (code, b": 1 ended" in said, b"End these flows?" in said) == (0, True, False), said
