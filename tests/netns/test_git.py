"""`nvictl run` with a git source: a push is in force as soon as it is fetched, and what fails changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nvi_operator.kernel.netns import entered
from nvi_operator.rollout.place import state_directory
from tests.lab import GatewayHost, Site
from tests.lab.command import ROOT
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.lab.remote import GitRemote
from tests.lab.ssh_git import SshGit
from tests.netns.scenarios import A, B, spec

pytestmark = pytest.mark.netns

Start = Callable[..., Daemon]


def everyone_as(uplink: str) -> str:
    return spec().replace("    - name: everyone\n      as: isp-a", f"    - name: everyone\n      as: {uplink}")


def seen(site: Site) -> str:
    with site.client.connect(site.far.address, 443) as flow:
        return flow.seen


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    return GitRemote(tmp_path)


@pytest.fixture
def start(site: Site, remote: GitRemote, tmp_path: Path) -> Iterator[Start]:
    started: list[Daemon] = []
    with entered(site.gateway.netns):
        state = state_directory()

    def begin(more: str = "interval: 0", source: str = "") -> Daemon:
        config = tmp_path / "operator.yaml"
        config.write_text(
            "apiVersion: nvi-operator/v1\nkind: Operator\nspec:\n"
            f"  source: {{git: {{url: {source or remote.url}, path: 'gateways/edge', {more}}}}}\n"
        )
        log = tmp_path / f"log{len(started)}"
        started.append(Daemon(site.gateway, None, log, "--config", str(config)))
        return started[-1]

    site.far.serve(443)
    yield begin
    for daemon in started:
        daemon.stop(signal.SIGKILL)
    shutil.rmtree(state, ignore_errors=True)
    assert site.leaks() == 0


def test_a_push_to_a_server_whose_hook_calls_sync_is_in_force_when_it_ends(
    site: Site, gateway: GatewayHost, remote: GitRemote, start: Start, tmp_path: Path
) -> None:
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-a")})
    start().until("in sync", seconds=60)
    told = tmp_path / "told"
    hook = remote.path / "hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    command = f"{sys.executable} -m nvi_operator sync --netns {gateway.host.netns}"
    hook.write_text(f"#!/bin/sh\nPYTHONPATH={ROOT} {command} >{told}\n")
    hook.chmod(0o755)
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-b")})
    assert "applied and verified" in told.read_text()
    assert seen(site) == B


def test_a_push_is_in_force_after_sync_and_survives_restarts_without_the_remote(
    site: Site, gateway: GatewayHost, remote: GitRemote, start: Start
) -> None:
    first = remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-a"), "README.md": "# gateways\n"})
    daemon = start()
    log = daemon.until("in sync", seconds=60)
    assert f"main: {first[:7]} by Ada <ada@example.net>: a change" in log
    assert seen(site) == A
    assert gateway.nvictl("sync").stdout.splitlines()[-1] == "nothing new"

    second = remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-b")})
    told = gateway.nvictl("sync").stdout
    assert f"main at {second[:7]} by Ada" in told
    assert "applied and verified" in told
    assert seen(site) == B

    # A wrong spec is named as git names it, and the last good one stays in force.
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("nowhere")})
    done = gateway.nvictl("sync", check=False)
    assert done.returncode == 1
    assert ":gateways/edge/gateway.yaml:" in done.stdout
    status = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)
    assert status["daemon"]["revision"] == f"{second[:7]} (main)"
    assert seen(site) == B

    # A history that was rewound is refused; a restart without the remote goes on with what was accepted.
    remote.git("reset", "-q", "--hard", first)
    remote.push()
    done = gateway.nvictl("sync", check=False)
    assert done.returncode == 1
    assert "branch main: refused: its history was rewound" in done.stderr
    remote.git("reset", "-q", "--hard", second)
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-a")})
    remote.path.rename(remote.path.with_name("away.git"))
    done = gateway.nvictl("sync", check=False)
    assert "does not appear to be a git repository" in done.stderr
    assert daemon.stop() == 0
    daemon = start()
    daemon.until("the source failed; the last good one stays in force")
    assert seen(site) == B


def test_a_testing_branch_is_tried_and_given_up_for_main_unless_it_is_confirmed(
    site: Site, gateway: GatewayHost, remote: GitRemote, start: Start
) -> None:
    host = os.uname().nodename
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-a")})
    daemon = start("interval: 0, testing: true")
    daemon.until("in sync", seconds=60)
    remote.git("checkout", "-q", "-b", f"testing/{host}")
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-b")})
    assert f"testing/{host} at" in gateway.nvictl("sync").stdout
    daemon.until("confirm within 300 s", seconds=60)
    assert seen(site) == B
    gateway.nvictl("abort", check=False)
    until(lambda: seen(site) == A, "main is in force again", seconds=60)
    assert gateway.nvictl("sync").stdout.splitlines()[-1] == "nothing new"
    assert seen(site) == A


@pytest.fixture
def forge(site: Site, tmp_path: Path) -> Iterator[SshGit]:
    with closing(SshGit(site.far, tmp_path / "forge")) as made:
        yield made


def test_by_ssh_only_the_known_host_is_asked_and_only_by_the_deploy_key_and_what_is_refused_changes_nothing(
    site: Site, gateway: GatewayHost, remote: GitRemote, start: Start, forge: SshGit
) -> None:
    first = remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-a")})
    url = f"git@{forge.host.address}:{remote.path}"
    daemon = start(f"interval: 0, key: {forge.key}, knownHosts: {forge.known_hosts}", url)
    daemon.until("in sync", seconds=60)
    assert seen(site) == A

    def refused(why: str, hint: str) -> None:
        done = gateway.nvictl("sync", check=False)
        assert (done.returncode, done.stdout) == (1, "")
        told, what_to_do = done.stderr.splitlines()
        assert told.endswith(f" {url}: git ls-remote: {why}")
        assert hint in what_to_do
        status = json.loads(gateway.nvictl("status", "-o", "json", check=False).stdout)
        assert status["daemon"]["revision"] == f"{first[:7]} (main)"
        assert seen(site) == A

    # At no moment in between are both right: the daemon asks again by itself.
    logins = forge.log().count("Accepted publickey")
    forge.start("other")
    remote.commit({"gateways/edge/gateway.yaml": everyone_as("isp-b")})
    address = forge.host.address
    refused(f"Host key for {address} has changed and you have requested strict checking", "another machine")
    forge.known_hosts.write_text("")
    refused(f"No ED25519 host key is known for {address} and you have requested strict checking", "put the host's")
    right = forge.key.read_text()
    forge.key.write_text(forge.make_key("not-deploy").read_text())
    forge.know("other")
    refused(f"git@{address}: Permission denied (publickey)", "add the public half")
    forge.key.rename(forge.key.with_name("away"))
    refused(f"Identity file {forge.key} not accessible: No such file or directory", "name the file")
    assert forge.log().count("Accepted publickey") == logins

    forge.key.with_name("away").write_text(right)
    forge.key.with_name("away").rename(forge.key)
    gateway.nvictl("sync")
    until(lambda: seen(site) == B, "the commit that waited", seconds=60)
