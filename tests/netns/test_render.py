"""What `nvictl render` prints, run by sh: it makes the gateway, but for the programs that no command can load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

PROGRAMS = {"tc-program", "egress-guard", "ingress-guard"}


def test_a_shell_makes_what_render_prints_and_apply_adds_programs_and_records_settings(
    site: Site, gateway: GatewayHost, tmp_path: Path
) -> None:
    site.far.serve(443)
    file = tmp_path / "gateway.yaml"
    file.write_text(spec())
    script = gateway.nvictl("render", file).stdout
    done = site.gateway.run("sh", "-e", text=script)
    assert done.stderr == ""
    left = [step.split() for step in gateway.differences(file)]
    # A setting is the gateway's once its value before is recorded, which only nvictl does.
    settings = {key for _, kind, key in (step[:3] for step in left) if kind == "sysctl"}
    assert {step[1] for step in left} - {"sysctl"} == PROGRAMS
    for path in settings:
        assert f"sysctl -qw {path}={site.gateway.read(path)}\n" in script
    gateway.nvictl("apply", file)
    assert gateway.differences(file) == []
    assert site.client.connect(site.far.address, 443).seen == A
