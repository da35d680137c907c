"""What was tried on a gateway: listed, compared, and applied again, with packets."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from pathlib import Path

import pytest

from nvi_operator.rollout.place import state_directory
from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

WITHOUT_WEB = spec().partition("    web:\n")[0] + "    ping-b:" + spec().partition("    ping-b:")[2]


def revisions(gateway: GatewayHost) -> list[dict[str, object]]:
    found = json.loads(gateway.nvictl("history", "-o", "json").stdout)["revisions"]
    assert isinstance(found, list)
    return found


def test_each_try_is_a_revision_that_can_be_shown_compared_and_applied_again(
    site: Site, gateway: GatewayHost, tmp_path: Path
) -> None:
    gateway.apply(spec())
    gateway.apply(spec())  # changes nothing: no revision
    gateway.apply(WITHOUT_WEB)
    wrong = spec().replace("203.0.113.2,", "203.0.113.2x,")
    assert gateway.nvictl("apply", gateway.spec(wrong), check=False).returncode == 1  # no spec: no revision
    gateway.nvictl("rollback", "1")
    gateway.down()
    listed = [(each["revision"], each["action"], each["result"], each["repeats"]) for each in revisions(gateway)]
    assert listed == [
        (4, "down", "applied", None),
        (3, "rollback", "applied", 1),
        (2, "apply", "applied", None),
        (1, "apply", "applied", None),
    ]
    shown = gateway.nvictl("show", "revision", "2").stdout
    assert "- removed forward: 443/udp on isp-a, isp-b went to" in shown
    assert f"user {os.getuid()}, process " in shown
    assert gateway.nvictl("show", "revision", "1", "--export", tmp_path / "one").stdout
    assert (tmp_path / "one/gateway.yaml").read_text() == spec()

    there, back = (gateway.nvictl("compare", *pair, check=False) for pair in (("1", "2"), ("2", "1")))
    assert (there.returncode, back.returncode) == (1, 1)
    assert "- forward web:" in there.stdout
    assert "+ forward web:" in back.stdout
    assert gateway.nvictl("compare", "1", "3").stdout == "from revision 1 to 3: no difference.\n"

    gateway.nvictl("rollback", "confirmed", check=False)  # which is that there is no gateway
    assert revisions(gateway)[0]["revision"] == 4
    gateway.nvictl("rollback", "3")
    site.server.serve(443)
    with site.far.connect(A, 443) as flow:
        assert flow.by == "server"


def test_what_cannot_be_recorded_is_applied_all_the_same(gateway: GatewayHost) -> None:
    gateway.apply(WITHOUT_WEB)
    path = gateway.host.call(state_directory) / "history.sqlite"
    path.unlink()
    path.mkdir()
    done = gateway.apply(spec())
    assert "this change is not recorded" in done.stderr
    assert not gateway.differences(spec())
    path.rmdir()
    path.write_bytes(b"no database at all " * 500)
    done = gateway.apply(WITHOUT_WEB)
    assert f"{path}: was damaged: file is not a database; renamed to {path}.damaged-" in done.stderr
    assert [each["revision"] for each in revisions(gateway)] == [1]
    path.write_bytes(b"no database at all " * 500)
    assert "was damaged" in gateway.apply(WITHOUT_WEB).stderr, "also where nothing is to be done"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE revision SET standing = 'x'")
    db.close()
    gateway.apply(WITHOUT_WEB)
    assert [each["revision"] for each in revisions(gateway)] == [2]
    path.write_bytes(b"no database at all " * 500)
    gateway.nvictl("suspend", "--reason", "a test")
    gateway.nvictl("resume")


def test_the_daemon_records_each_spec_once_and_what_came_of_it(gateway: GatewayHost, tmp_path: Path) -> None:
    directory = tmp_path / "spec"
    directory.mkdir()
    file = directory / "gateway.yaml"
    file.write_text(spec())
    daemon = Daemon(gateway.host, directory, tmp_path / "log")
    try:
        daemon.until("in sync")
        file.write_text(WITHOUT_WEB)
        daemon.until("- forward web", "in sync")
        gateway.host.run("ip", "rule", "del", "priority", "1010")
        daemon.until("healed")
        file.write_text("nonsense")
        daemon.until("the new spec is wrong")
        file.write_text(spec())
        daemon.until("+ forward web", "in sync")
        daemon.stop()
        daemon = Daemon(gateway.host, directory, tmp_path / "log")
        daemon.until("in sync")  # as it was
        daemon.stop(signal.SIGKILL)
    finally:
        daemon.stop(signal.SIGKILL)
    found = [(each["revision"], each["action"], each["result"]) for each in revisions(gateway)]
    assert found == [(number, "run", "applied") for number in (3, 2, 1)]
    assert "web" in gateway.nvictl("show", "revision", "2").stdout
