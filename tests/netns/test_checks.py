"""Checks: a change after which something fails that worked before it is given up, and the check names itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvi_operator.daemon.probes import checks
from nvi_operator.daemon.probes.checks import failing
from nvi_operator.language.model.checks import Check
from tests.lab import GatewayHost, Site
from tests.lab.daemon import Daemon
from tests.lab.net import until
from tests.netns.scenarios import spec
from tests.netns.test_history import revisions

pytestmark = pytest.mark.netns

CHECKS = """  checks:
    far: {{ ping: {far}, uplink: isp-a, within: 3 }}
    web: {{ tcp: "{far}:443", from: 192.168.1.1, within: 3 }}
    never: {{ ping: 203.0.113.77, uplink: isp-a, within: 0.2 }}
"""


def checked(site: Site, wrong: bool = False) -> str:
    """A spec with checks; a wrong one leads the gateway's own packets to a router that is not there."""
    text = spec(more=CHECKS.format(far=site.far.address))
    return text.replace("nextHop: [203.0.113.1,", "nextHop: [203.0.113.9,") if wrong else text


def test_a_change_after_which_a_check_fails_is_given_up(site: Site, gateway: GatewayHost, tmp_path: Path) -> None:
    site.far.serve(443)
    gateway.apply(checked(site))
    refused = gateway.nvictl("apply", gateway.spec(checked(site, wrong=True)), check=False)
    assert refused.returncode == 1
    assert "check far failed: " in refused.stderr
    assert "check never failed before the change: no answer within 0.2 s" in refused.stderr
    assert not gateway.differences(checked(site))
    given_up = revisions(gateway)[1]
    assert (given_up["standing"], given_up["failedCheck"]) == ("returned", "far")

    directory = tmp_path / "spec"
    directory.mkdir()
    (directory / "gateway.yaml").write_text(checked(site))
    daemon = Daemon(gateway.host, directory, tmp_path / "log")
    try:
        daemon.until("in sync", seconds=60)
        (directory / "gateway.yaml").write_text(checked(site, wrong=True) + "# once more\n")
        daemon.until("check far failed: ", "back to revision", seconds=60)
    finally:
        daemon.stop()
    assert not gateway.differences(checked(site))


def test_the_first_revision_is_given_up_for_no_gateway_by_a_check_of_the_operator(
    site: Site, gateway: GatewayHost, tmp_path: Path
) -> None:
    directory, config = tmp_path / "spec", tmp_path / "operator.yaml"
    directory.mkdir()
    swallows = spec().replace("networks: [192.168.1.0/24,", "networks: [192.168.1.0/24, 192.0.2.0/24,")
    (directory / "gateway.yaml").write_text(swallows)
    config.write_text(
        f"apiVersion: nvi-operator/v1\nkind: Operator\nspec:\n  source: {{directory: {directory}}}\n"
        f"  checks: {{far: {{ping: {site.far.address}, within: 2}}}}\n"
    )
    daemon = Daemon(gateway.host, None, tmp_path / "log", "--config", str(config))
    try:
        daemon.until("check far failed: ", "no gateway, as before", seconds=60)
        assert gateway.owned() == []
        (directory / "gateway.yaml").write_text(spec())
        until(lambda: not gateway.differences(spec()), "the next one is applied", seconds=60)
    finally:
        daemon.stop()
    (directory / "gateway.yaml").write_text(swallows + "# by hand\n")
    refused = gateway.nvictl("apply", directory, "--config", config, check=False)
    assert "check far failed: " in refused.stderr
    assert not gateway.differences(spec())


def test_each_way_to_ask(site: Site, gateway: GatewayHost, tmp_path: Path) -> None:
    program = tmp_path / "reach"
    program.write_text('#!/bin/sh\necho "$1 is away" >&2; exit $2\n')
    program.chmod(0o755)
    gateway.apply(spec())
    site.far.serve(443)
    inside = {"netns": site.client.netns}
    far = str(site.far.address)
    asked = {
        "inside": Check.model_validate({"ping": far, **inside}),
        "closed": Check.model_validate({"tcp": f"{far}:4", **inside}),
        "no-namespace": Check.model_validate({"ping": far, "netns": "absent", "within": 0.3}),
        "fine": Check.model_validate({"command": ["reach", "x", "0"]}),
        "away": Check.model_validate({"command": ["reach", "$(portal)", "3"]}),
        "absent": Check.model_validate({"command": "absent"}),
    }
    found = gateway.host.call(lambda: failing(asked, None, tmp_path))
    assert found["closed"] == "Connection refused"
    assert "namespace absent" in found["no-namespace"]
    assert found["away"] == "exit code 3: $(portal) is away"
    assert found["absent"] == f"{tmp_path}/absent: No such file or directory"
    assert found.keys() == {"closed", "no-namespace", "away", "absent"}
    assert Path("/etc/nvi-operator/checks") == checks.PROGRAMS
