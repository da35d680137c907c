"""The control socket of a running gateway: who may use it, what it survives, and that commands ask it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nvi_operator
from nvi_operator.cli.commands.status import look
from nvi_operator.cli.context import Context
from nvi_operator.cli.parser import make_parser
from nvi_operator.daemon.control.protocol import socket_path
from nvi_operator.kernel.netns import entered
from tests.lab import GatewayHost, Site
from tests.lab.command import ROOT
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

Start = Callable[..., Daemon]
NOBODY = 65534


@pytest.fixture
def start(site: Site, start: Start) -> Iterator[Start]:
    """In sync, so that its socket is there."""

    def begin(*options: str) -> Daemon:
        daemon = start(*options)
        daemon.until("in sync", seconds=60)
        return daemon

    yield begin
    path(site).unlink(missing_ok=True)


def path(site: Site) -> Path:
    with entered(site.gateway.netns):
        return socket_path()


def connected(place: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(str(place))
    return sock


def asked(sock: socket.socket, request: str) -> dict[str, object]:
    sock.sendall(json.dumps({"request": request}).encode() + b"\n")
    answer = json.loads(sock.makefile("rb").readline())
    assert isinstance(answer, dict)
    return answer


def test_it_is_there_while_the_daemon_runs(site: Site, gateway: GatewayHost, directory: Path, start: Start) -> None:
    daemon = start()
    with connected(path(site)) as sock:
        result = asked(sock, "hello")["result"]
    assert isinstance(result, dict)
    assert (result["pid"], result["spec"], result["gateway"]) == (daemon.process.pid, str(directory), "edge")
    assert daemon.stop() == 0
    assert not path(site).exists()


def test_what_kill_9_leaves_is_replaced_by_the_next_start(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    start().stop(signal.SIGKILL)
    assert path(site).exists()
    assert gateway.nvictl("drift", directory).returncode == 0, "a dead socket is no daemon, and no error"
    daemon = start()
    with connected(path(site)) as sock:
        assert "result" in asked(sock, "hello")
    assert daemon.process.code is None


def test_a_gateway_heals_while_peers_do_their_worst(site: Site, gateway: GatewayHost, start: Start) -> None:
    daemon = start()
    peers = [connected(path(site)) for _ in range(200)]
    for number, peer in enumerate(peers):
        peer.sendall(
            [b'{"request": "sub', b'{"request": "subscribe"}\n', b'{"request": "hello"}\n' * 100][number % 3]
        )
    for _ in range(5):
        site.gateway.run("nft", "flush", "chain", "inet", "nvi", "srcnat")
        daemon.until("drift", "healed")
    for peer in peers:
        peer.close()
    with connected(path(site)) as sock:
        assert "result" in asked(sock, "hello")


def test_a_member_of_the_group_reads_and_changes_nothing_and_others_are_kept_out(site: Site, start: Start) -> None:
    daemon = start()
    with connected(path(site)) as sock:
        assert "result" in asked(sock, "reconcile")
    place = path(site)
    os.chown(place, -1, NOBODY)  # what the daemon does where there is a group nvi-operator
    place.chmod(0o660)

    def as_user(uid: int) -> dict[str, object]:
        """What a process of this user, in a group of the same number, is answered."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
                with connected(place) as sock:
                    told = {request: asked(sock, request) for request in ("hello", "reconcile")}
            except PermissionError as error:
                told = {"refused": {"errno": error.errno}}
            os.write(writer, json.dumps(told).encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader) as file:
            found = json.load(file)
        assert isinstance(found, dict)
        return found

    member = as_user(NOBODY)
    assert "result" in member["hello"]  # type: ignore[operator]
    assert "may read, and change nothing" in json.dumps(member["reconcile"])
    assert set(as_user(NOBODY - 1)) == {"refused"}
    assert daemon.process.code is None


def test_drift_and_plan_say_what_the_daemon_leaves_alone(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    daemon = start()

    def disturb() -> None:
        site.gateway.run("nft", "flush", "chain", "inet", "nvi", "srcnat")

    def paused() -> dict[str, float]:
        with connected(path(site)) as sock:
            result = asked(sock, "paused")["result"]
        assert isinstance(result, dict)
        return dict(result["paused"])

    while not (left := paused()):
        disturb()
        daemon.until("healed")
    (name,) = left
    disturb()
    for command in ("drift", "plan"):
        done = gateway.nvictl(command, directory, check=False)
        assert f"note: paused: {name}: nvictl run leaves it alone for " in done.stderr


def test_status_asks_the_daemon_and_says_what_only_that_knows(
    site: Site, gateway: GatewayHost, directory: Path, start: Start
) -> None:
    daemon = start()
    own = json.loads(gateway.nvictl("status", gateway.spec(spec()), "-o", "json").stdout)
    asked_of = json.loads(gateway.nvictl("status", "-o", "json").stdout)
    by_directory = json.loads(gateway.nvictl("status", directory, "-o", "json").stdout)
    assert own["daemon"] is None, "another directory: the daemon has nothing to say of it"
    for found in (asked_of, by_directory):
        assert (found["daemon"]["pid"], found["daemon"]["spec"]) == (daemon.process.pid, str(directory))
        assert (found["inSync"], found["working"], found["events"][-1]["event"]) == (True, True, "applied")
        assert [(u["name"], u["health"]) for u in found["uplinks"]] == [("isp-a", "up"), ("isp-b", "up")]
        assert found["counters"].keys() == own["counters"].keys()
    site.far.serve(443)
    with site.client.connect(site.far.address, 443):
        found = json.loads(gateway.nvictl("status", "-o", "json").stdout)
    assert {rule["name"]: rule["flows"] for rule in found["rules"]}["everyone"] == 1
    with pytest.MonkeyPatch.context() as upgrade:
        upgrade.setattr(nvi_operator, "__version__", "9.9")
        found = site.gateway.call(lambda: look(Context(make_parser().parse_args(["status"]))))
    assert found["daemon"] is None, "fields may be missing from what an older one tells"
    assert "nvictl run: not asked: it is version 0.1.0, and this is 9.9; restart it" in found["notes"]

    site.gateway.ip("link set wan1 down")
    daemon.until("uplink isp-b: down: wan1 is down", "in sync")
    done = gateway.nvictl("status", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("gateway edge: degraded: ")

    (directory / "gateway.yaml").write_text("spec: nonsense\n")
    daemon.until("the last good one stays in force")
    done = gateway.nvictl("status", check=False)
    assert done.returncode == 1
    assert "gateway.yaml:1:" in done.stdout


def test_events_are_followed_as_lines_of_json(site: Site, gateway: GatewayHost, start: Start, tmp_path: Path) -> None:
    none = gateway.nvictl("events", check=False)
    assert (none.returncode, none.stdout) == (1, "")
    assert "nvictl run: not running in this network namespace" in none.stderr

    daemon = start()
    (last,) = (json.loads(line) for line in gateway.nvictl("events", "-n", "1", "-o", "json").stdout.splitlines())
    assert (last["event"], last["gateway"]) == ("applied", "edge")
    command = ["events", "--follow", "-n", "1", "-o", "json", "--netns", site.gateway.netns]
    with (tmp_path / "events").open("w+") as file:
        follower = subprocess.Popen(
            [sys.executable, "-m", "nvi_operator", *command], stdout=file, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )

        def kinds() -> list[str]:
            return [json.loads(line)["event"] for line in Path(file.name).read_text().splitlines()]

        until(lambda: kinds() == ["applied"], "the follower to be there", seconds=30)
        site.gateway.run("nft", "flush", "chain", "inet", "nvi", "srcnat")
        until(lambda: kinds()[1:] == ["drift", "healed"], "the drift", seconds=30)
        site.gateway.ip("link set wan1 down")
        until(lambda: "uplink-down" in kinds(), "the uplink's event", seconds=30)
        daemon.stop()
        assert follower.communicate(timeout=10)[1].startswith("note: nvictl run closed the connection: it ended")
        assert follower.returncode == 0, "it ends with the daemon"


def test_a_watch_in_a_pipe_prints_events_and_changes_of_the_state(
    site: Site, gateway: GatewayHost, start: Start, tmp_path: Path
) -> None:
    start()
    with (tmp_path / "watch").open("w+") as file:
        watcher = subprocess.Popen(
            [sys.executable, "-m", "nvi_operator", "status", "--watch", "--netns", site.gateway.netns],
            stdout=file,
            cwd=ROOT,
        )

        def said(words: str) -> bool:
            return words in Path(file.name).read_text()

        until(lambda: said("gateway edge: in sync: as the spec says; isp-a up; isp-b up"), "the state", seconds=30)
        site.gateway.ip("link set wan1 down")
        until(lambda: said("uplink-down   edge: uplink isp-b: down"), "the event", seconds=30)
        until(lambda: said("gateway edge: degraded: 2 faults; isp-a up; isp-b down"), "the new state", seconds=30)
        watcher.terminate()
        watcher.wait(10)
