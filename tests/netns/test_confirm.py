"""An unconfirmed revision is given up: by a waiter, by the next command, by the daemon, after a kill."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.cli.commands import abort
from nvi_operator.cli.context import Context
from nvi_operator.cli.parser import parse
from nvi_operator.errors import KernelError
from nvi_operator.history.decisions import Decisions, DecisionsFile, Held, Moment, ReturnTarget, Suspension
from nvi_operator.history.revision import Content
from nvi_operator.kernel.netns import cookie
from nvi_operator.rollout.place import state_directory
from nvi_operator.store.lock import GatewayLock
from tests.lab import GatewayHost, Site
from tests.lab.command import Command
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import A, spec
from tests.netns.test_history import WITHOUT_WEB, revisions

pytestmark = pytest.mark.netns


@pytest.fixture
def decisions(gateway: GatewayHost) -> DecisionsFile:
    return DecisionsFile(gateway.host.call(state_directory))


@pytest.fixture(autouse=True)
def waiters(gateway: GatewayHost) -> Iterator[None]:
    yield
    for pid in waiting(gateway):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def waiting(gateway: GatewayHost) -> list[int]:
    """Processes of the gateway that wait for a confirmation."""
    home = Path(f"/run/netns/{gateway.host.netns}").stat().st_ino
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"--when-due" in (entry / "cmdline").read_bytes() and (entry / "ns/net").stat().st_ino == home:
                found.append(int(entry.name))
    return found


def states(gateway: GatewayHost) -> list[tuple[object, ...]]:
    return [(each["revision"], each["action"], each["standing"]) for each in reversed(revisions(gateway))]


def overdue(decisions: DecisionsFile, **changes: object) -> None:
    """As if the time were over."""
    found = decisions.read()
    assert found.pending
    changes = changes or {"deadline": replace(found.pending.deadline, seconds=0.0)}
    decisions.write(replace(found, pending=replace(found.pending, **changes)))


def test_an_unconfirmed_revision_is_given_up_by_itself(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    site.server.serve(443)
    done = gateway.nvictl("apply", gateway.spec(WITHOUT_WEB), "--confirm", "2s")
    assert "confirm within 2 s: nvictl confirm; otherwise: back to revision 1" in done.stderr
    assert states(gateway)[-1] == (2, "apply", "pending")
    until(lambda: states(gateway)[-1] == (3, "return", "confirmed"), "the confirmed revision is back", seconds=40)
    assert states(gateway)[1] == (2, "apply", "returned")
    with site.far.connect(A, 443) as flow:
        assert flow.by == "server"
    until(lambda: not waiting(gateway), "nothing waits any more", seconds=20)
    late = gateway.nvictl("confirm", check=False)
    assert late.returncode == 1
    assert "no revision is waiting for one\n  hint: revision 2 was given up: not confirmed within 2 s" in late.stderr


def test_what_is_confirmed_stays(gateway: GatewayHost, decisions: DecisionsFile) -> None:
    gateway.nvictl("apply", gateway.spec(spec()), "--confirm", "1h")
    refused = gateway.nvictl("apply", gateway.spec(WITHOUT_WEB), check=False)
    assert "revision 1: waits for confirmation, " in refused.stderr
    assert gateway.nvictl("confirm").stdout == "Confirmed: revision 1.\n"
    assert decisions.read() == Decisions()
    assert revisions(gateway)[0]["confirmedBy"] == f"user {os.getuid()}"
    assert not gateway.differences(spec())
    until(lambda: not waiting(gateway), "nothing waits any more", seconds=20)


def test_a_rollback_waits_for_its_confirmation_as_an_apply_does(gateway: GatewayHost) -> None:
    gateway.apply(spec())
    gateway.apply(WITHOUT_WEB)
    done = gateway.nvictl("rollback", "1", "--confirm", "1h")
    assert "confirm within 3600 s: nvictl confirm; otherwise: back to revision 2" in done.stderr
    assert not gateway.differences(spec())
    gateway.nvictl("abort")
    assert not gateway.differences(WITHOUT_WEB)
    assert states(gateway)[2:] == [(3, "rollback", "returned"), (4, "return", "confirmed")]


def test_a_return_is_to_the_recorded_spec_which_is_told_where_another_one_holds(gateway: GatewayHost) -> None:
    gateway.apply(spec())
    path = gateway.host.call(state_directory) / "history.sqlite"
    aside = path.rename(path.with_suffix(".aside"))
    path.mkdir()
    assert "this change is not recorded" in gateway.apply(WITHOUT_WEB).stderr
    path.rmdir()
    aside.rename(path)
    done = gateway.nvictl("apply", gateway.spec(spec().replace("443/tcp", "444/tcp")), "--confirm", "1h")
    assert "confirmation: the gateway is not as revision 1 says (" in done.stderr
    gateway.nvictl("abort")
    assert not gateway.differences(spec())


def test_an_abort_returns_at_once_and_the_first_revision_to_no_gateway(gateway: GatewayHost) -> None:
    gateway.nvictl("apply", gateway.spec(spec()), "--confirm", "1h")
    assert gateway.nvictl("abort").stdout == "Aborted: revision 1.\n"
    assert gateway.owned() == []
    assert states(gateway) == [(1, "apply", "returned"), (2, "return", "confirmed")]


@pytest.mark.parametrize("clue", ["deadline", "boot"])
def test_the_next_command_gives_up_what_is_due_where_the_waiter_was_killed(
    gateway: GatewayHost, decisions: DecisionsFile, clue: str
) -> None:
    gateway.apply(spec())
    gateway.nvictl("apply", gateway.spec(WITHOUT_WEB), "--confirm", "1h")
    for pid in waiting(gateway):
        os.kill(pid, signal.SIGKILL)
    if clue == "boot":  # whose clock may have any value
        overdue(decisions, deadline=Moment("another boot", 1e9))
    else:
        overdue(decisions)
    assert gateway.nvictl("confirm", check=False).returncode == 1
    wrong = gateway.nvictl("rollback", "2", check=False)  # which applies it again, by the user's own word
    assert "back to revision 1" in wrong.stderr
    assert states(gateway) == [
        (1, "apply", "confirmed"),
        (2, "apply", "returned"),
        (3, "return", "confirmed"),
        (4, "rollback", "confirmed"),
    ]


@pytest.mark.parametrize("by", ["waiter", "command", "daemon"])
def test_a_revision_stays_where_an_upgrade_cannot_read_what_to_return_to(
    gateway: GatewayHost, decisions: DecisionsFile, tmp_path: Path, by: str
) -> None:
    """As a field of another version in it. Neither the next apply nor the daemon is stopped by that."""
    gateway.apply(spec())
    gateway.nvictl("apply", directory := gateway.spec(WITHOUT_WEB), "--confirm", "1h")
    pending = decisions.read().pending
    assert pending
    if by != "waiter":
        for pid in waiting(gateway):
            os.kill(pid, signal.SIGKILL)
    content = Content(pending.back.content.gateway, {"a.yaml": (spec() + "  anotherField: 1\n").encode()})
    overdue(decisions, back=replace(pending.back, content=content), deadline=replace(pending.deadline, seconds=0.0))
    told = "revision 2: stays, because there is no way back: revision 1: this nvictl refuses its spec"
    if by == "command":
        assert told in gateway.apply(spec()).stderr
        assert states(gateway)[1:] == [(2, "apply", "confirmed"), (3, "apply", "confirmed")]
        return
    if by == "daemon":
        daemon = Daemon(gateway.host, directory, tmp_path / "log")
        try:
            daemon.until(told, "in sync", seconds=60)
        finally:
            daemon.stop(signal.SIGKILL)
    else:
        until(lambda: not waiting(gateway), "the end of the waiter")
    assert decisions.read() == Decisions()
    assert states(gateway)[1:] == [(2, "apply", "confirmed")]
    assert not gateway.differences(WITHOUT_WEB)


@pytest.mark.parametrize("what", ["reading", "writing"])
def test_a_waiter_goes_on_where_the_disk_fails_as_it_finds_no_way_back(
    gateway: GatewayHost, decisions: DecisionsFile, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    gateway.apply(spec())
    gateway.nvictl("apply", gateway.spec(WITHOUT_WEB), "--confirm", "1h")
    for pid in waiting(gateway):
        os.kill(pid, signal.SIGKILL)
    unreadable = Content("edge", {"a.yaml": (spec() + "  anotherField: 1\n").encode()})
    overdue(decisions, back=ReturnTarget(1, unreadable), deadline=Moment("another boot", 0.0))
    monkeypatch.setattr(Context, "decisions", lambda context: failing)
    failing = FailingOnce(decisions.path.parent)
    failing.fails = what
    monkeypatch.setattr("nvi_operator.cli.commands.abort._AGAIN", 0.0)
    assert gateway.host.call(abort.run, Context(parse(["abort", "--when-due"]))) == 0
    assert (failing.fails, decisions.read()) == ("", Decisions())
    assert states(gateway)[1:] == [(2, "apply", "confirmed")]


class FailingOnce(DecisionsFile):
    """On a disk where the first one of what `fails` does."""

    fails = ""

    def read(self) -> Decisions:
        self._fail("reading")
        return super().read()

    def write(self, decisions: Decisions) -> None:
        self._fail("writing")
        super().write(decisions)

    def _fail(self, what: str) -> None:
        if self.fails == what:
            self.fails = ""
            raise KernelError(f"decisions: {what}: Input/output error")


@contextmanager
def waits_for_the_lock(gateway: GatewayHost, log: Path, *arguments: str | Path) -> Iterator[Command]:
    """A command that waits within for the gateway's lock, which `nvictl run` has, as far as it can see."""
    lock = GatewayLock(gateway.host.call(cookie), "nvictl run")
    with closing(lock), lock.running():
        with lock.changing():
            command = Command([*map(str, arguments), "--netns", gateway.host.netns], log)
            until(lambda: "waiting for nvictl run" in command.text, "it waits", seconds=60)
            yield command
        command.wait()


def test_a_rollback_that_is_refused_ends_no_suspension_that_came_before_it(
    gateway: GatewayHost, decisions: DecisionsFile, tmp_path: Path
) -> None:
    gateway.apply(spec())
    gateway.apply(WITHOUT_WEB)
    suspended = Decisions(suspension=Suspension("works on the line", "root", 0.0))
    with waits_for_the_lock(gateway, tmp_path / "log", "rollback", "1") as rollback:
        decisions.write(suspended)
    assert (rollback.code, "changes are suspended by root" in rollback.text) == (1, True)
    assert decisions.read() == suspended


def test_what_another_process_gave_up_meanwhile_is_not_given_up_again(
    gateway: GatewayHost, decisions: DecisionsFile, tmp_path: Path
) -> None:
    gateway.apply(spec())
    gateway.nvictl("apply", directory := gateway.spec(WITHOUT_WEB), "--confirm", "1h")
    for pid in waiting(gateway):
        os.kill(pid, signal.SIGKILL)
    overdue(decisions)
    with waits_for_the_lock(gateway, tmp_path / "log", "apply", directory) as apply:
        decisions.write(decisions.read().given_up("not confirmed"))
    assert (apply.code, "back to" in apply.text) == (0, False)
    assert not gateway.differences(WITHOUT_WEB)


def test_what_was_given_up_is_tried_again_where_an_upgrade_cannot_read_what_is_held_to(
    gateway: GatewayHost, directory: Path, run: Callable[..., Daemon], decisions: DecisionsFile
) -> None:
    unreadable = Content("edge", {"a.yaml": (spec() + "  anotherField: 1\n").encode()})
    decisions.write(Decisions(held=Held(2, "", ReturnTarget(1, unreadable), "of a rollback")))
    daemon = run()
    assert "what was given up is tried again, because there is no way back: revision 1" in daemon.process.text
    assert not gateway.differences(spec())
    assert decisions.read() == Decisions()


def test_nothing_is_changed_where_the_decision_cannot_be_written(
    gateway: GatewayHost, decisions: DecisionsFile
) -> None:
    gateway.apply(spec())
    decisions.path.mkdir()
    refused = gateway.nvictl("apply", gateway.spec(WITHOUT_WEB), "--confirm", "1h", check=False)
    assert refused.returncode == 1
    assert not gateway.differences(spec())


# --------------------------------------------------------------------------- the daemon


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec/gateway.yaml").write_text(spec())
    return tmp_path / "spec"


@pytest.fixture
def run(gateway: GatewayHost, directory: Path, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts the daemon, as often as it is called."""
    started: list[Daemon] = []

    def start(*options: str) -> Daemon:
        started.append(Daemon(gateway.host, directory, tmp_path / "log", *options))
        started[-1].until("in sync", seconds=60)
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop(signal.SIGKILL)


def test_the_daemon_gives_up_an_unconfirmed_spec_and_tries_it_again_only_when_it_changes(
    gateway: GatewayHost, directory: Path, run: Callable[..., Daemon], decisions: DecisionsFile
) -> None:
    daemon = run("--confirm", "1h")
    (directory / "gateway.yaml").write_text(WITHOUT_WEB)
    daemon.until("revision 2: confirm within 3600 s: nvictl confirm; otherwise back to revision 1", seconds=60)
    daemon.stop(signal.SIGKILL)  # an upgrade, say
    daemon = run("--confirm", "1h")
    assert not gateway.differences(WITHOUT_WEB)
    assert states(gateway) == [(1, "run", "confirmed"), (2, "run", "pending")]
    overdue(decisions)
    daemon.until("revision 2: not confirmed within 3600 s: back to revision 1", seconds=60)
    assert not gateway.differences(spec())
    daemon.stop(signal.SIGKILL)
    daemon = run("--confirm", "1h")
    assert not gateway.differences(spec())  # though the directory says otherwise
    (directory / "gateway.yaml").write_text(WITHOUT_WEB + "# again\n")
    daemon.until("revision 4: confirm within 3600 s", seconds=60)
    gateway.nvictl("confirm")
    (directory / "gateway.yaml").write_text(spec())
    daemon.until("revision 5: confirm within 3600 s: nvictl confirm; otherwise back to revision 4", seconds=60)
    assert gateway.nvictl("abort").stdout == "Aborted: revision 5.\n"
    assert not gateway.differences(WITHOUT_WEB)
    assert [state for _, _, state in states(gateway)] == [
        "confirmed",
        "returned",
        "confirmed",
        "confirmed",
        "returned",
        "confirmed",
    ]


def test_a_rollback_holds_against_the_daemon_until_its_directory_changes(
    gateway: GatewayHost, directory: Path, run: Callable[..., Daemon]
) -> None:
    daemon = run()
    (directory / "gateway.yaml").write_text(WITHOUT_WEB)
    daemon.until("- forward web", "in sync", seconds=60)
    gateway.nvictl("rollback")
    daemon.stop(signal.SIGKILL)
    daemon = run()
    assert not gateway.differences(spec())
    (directory / "gateway.yaml").write_text(WITHOUT_WEB + "# again\n")
    daemon.until("- forward web", "in sync", seconds=60)


def test_while_changes_are_suspended_nothing_is_changed_and_everything_is_told(
    gateway: GatewayHost, directory: Path, run: Callable[..., Daemon]
) -> None:
    daemon = run()
    assert gateway.nvictl("suspend", "--reason", "works on the line", "--for", "1h").stdout
    daemon.until("suspended by root: works on the line\n", seconds=60)
    (directory / "gateway.yaml").write_text(WITHOUT_WEB)
    daemon.until("suspended by root: works on the line: 1 change not made", seconds=60)
    daemon.stop(signal.SIGKILL)
    assert not gateway.differences(spec())
    for command in (("apply", directory), ("rollback", "1"), ("down",)):
        refused = gateway.nvictl(*command, check=False)
        assert (refused.returncode, "suspended by root: works on the line" in refused.stderr) == (1, True)
    status = json.loads(gateway.nvictl("status", directory, "-o", "json", check=False).stdout)
    assert (status["suspended"]["reason"], status["unconfirmed"]) == ("works on the line", None)
    daemon = Daemon(gateway.host, directory, directory.parent / "log")
    try:
        daemon.until("suspended by root: works on the line: 1 change not made", seconds=60)
        gateway.nvictl("resume")
        daemon.until("removed forward", "in sync", seconds=60)
    finally:
        daemon.stop(signal.SIGKILL)
