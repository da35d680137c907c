"""Confirmation by proof: a revision that leads the operator to its remote stays; one that does not is given up."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nvi_operator.history.decisions import DecisionsFile
from nvi_operator.rollout.place import state_directory
from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.https_git import HttpsGit
from tests.lab.net import until
from tests.lab.remote import GitRemote
from tests.netns.scenarios import spec
from tests.netns.test_history import WITHOUT_WEB, revisions

pytestmark = pytest.mark.netns

AWAY = spec().replace("nextHop: [203.0.113.1,", "nextHop: [203.0.113.6,")  # a router that is not there
OPERATOR = """\
apiVersion: nvi-operator/v1
kind: Operator
spec:
  source: {{git: {{url: "{url}/remote.git", ca: {ca}, path: gateways/edge, interval: 0}}}}
  confirm: {{within: {within}, by: proof}}
"""
Start = Callable[..., Daemon]


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    made = GitRemote(tmp_path)
    made.commit({"gateways/edge/gateway.yaml": spec()})
    return made


@pytest.fixture
def forge(site: Site, tmp_path: Path, remote: GitRemote) -> Iterator[HttpsGit]:
    with closing(HttpsGit(site.far, tmp_path)) as made:
        yield made


@pytest.fixture
def start(site: Site, forge: HttpsGit, tmp_path: Path) -> Iterator[Start]:
    started: list[Daemon] = []

    def begin(within: str = "1h") -> Daemon:
        config = tmp_path / "operator.yaml"
        config.write_text(OPERATOR.format(url=forge.url, ca=forge.ca, within=within))
        log = tmp_path / f"log{len(started)}"
        started.append(Daemon(site.gateway, None, log, "--config", str(config)))
        return started[-1]

    yield begin
    for daemon in started:
        daemon.stop(signal.SIGKILL)
    shutil.rmtree(site.gateway.call(state_directory), ignore_errors=True)
    assert site.leaks() == 0


def standings(gateway: GatewayHost) -> list[object]:
    return [each["standing"] for each in reversed(revisions(gateway))]


def test_a_revision_stays_where_the_remote_answers_through_it_and_is_given_up_where_not(
    site: Site, gateway: GatewayHost, remote: GitRemote, start: Start, forge: HttpsGit
) -> None:
    daemon = start()
    daemon.until("revision 1: confirmed: its source answers through the gateway", seconds=60)
    remote.commit({"gateways/edge/gateway.yaml": WITHOUT_WEB})
    gateway.nvictl("sync")
    daemon.until("revision 2: confirmed: its source answers through the gateway", seconds=60)
    told = json.loads(gateway.nvictl("events", "-o", "json", "--kind", "pending,confirmed").stdout.splitlines()[-1])
    assert (told["event"], told["attempt"], told["by"]) == ("confirmed", 2, "proof")
    assert (standings(gateway), revisions(gateway)[0]["confirmedBy"]) == (["confirmed", "confirmed"], "proof")

    # The wait for a remote that is away survives a kill, and ends with its answer.
    decisions = DecisionsFile(site.gateway.call(state_directory))
    remote.commit({"gateways/edge/gateway.yaml": AWAY})
    gateway.nvictl("sync", check=False)
    daemon.until("revision 3: waits for its source to answer within 3600 s: or nvictl confirm", seconds=60)
    daemon.stop(signal.SIGKILL)
    daemon = start()
    until(lambda: (p := decisions.read().pending) and "git ls-remote" in p.missing, "why is kept", seconds=60)
    assert not gateway.differences(AWAY)
    site["isp-a"].ip("addr add 203.0.113.6/29 dev gwa")  # the router is plugged in
    daemon.until("revision 3: confirmed: its source answers through the gateway", seconds=60)


def test_a_proof_that_fails_until_the_deadline_names_what_failed(
    gateway: GatewayHost, remote: GitRemote, start: Start
) -> None:
    daemon = start("6s")
    daemon.until("revision 1: confirmed: its source answers through the gateway", seconds=60)
    remote.commit({"gateways/edge/gateway.yaml": AWAY})
    gateway.nvictl("sync", check=False)
    log = daemon.until("revision 2: not confirmed within 6 s: ", "back to revision 1", seconds=60)
    assert "git ls-remote: unable to access" in log.partition("revision 2: not confirmed within 6 s: ")[2]
    assert standings(gateway) == ["confirmed", "returned", "confirmed"]
    assert not gateway.differences(spec())


def test_a_revision_without_a_route_to_the_remote_is_refused_and_the_confirmed_one_is_kept(
    site: Site, gateway: GatewayHost, remote: GitRemote, start: Start
) -> None:
    daemon = start()
    daemon.until("revision 1: confirmed: its source answers through the gateway", seconds=60)
    first = remote.git("rev-parse", "HEAD")
    swallowed = spec().replace("networks: [192.168.1.0/24,", "networks: [192.168.1.0/24, 192.0.2.0/24,")
    remote.commit({"gateways/edge/gateway.yaml": swallowed})
    told = gateway.nvictl("sync", check=False)
    assert told.returncode == 1
    packet = "lock-out: tcp to 192.0.2.80:443, the way to the git remote 192.0.2.80, would be refused by the FIB rule"
    assert packet in told.stdout
    site.gateway.run("nft", "delete", "table", "inet", "nvi")  # and the confirmed one is healed
    until(lambda: not gateway.differences(spec()), "the confirmed revision is kept", seconds=60)
    status = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)
    assert (status["givenUp"]["revision"], status["givenUp"]["inForce"]) == (2, 1)
    remote.commit({"gateways/edge/gateway.yaml": WITHOUT_WEB})
    gateway.nvictl("sync")
    until(lambda: not gateway.differences(WITHOUT_WEB), "the next one is applied", seconds=60)
    assert [each["result"] for each in reversed(revisions(gateway))] == ["applied", "refused", "applied", "applied"]
    assert (revisions(gateway)[1]["action"], revisions(gateway)[1]["origin"]["commit"]) == ("return", first)
