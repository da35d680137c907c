"""A module without a signature, under Secure Boot's lockdown or module.sig_enforce: messages and behaviour."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

LOCKDOWN = Path("/sys/kernel/security/lockdown")
SIGNATURES = Path("/sys/module/module/parameters/sig_enforce")


def enforcer() -> str:
    """According to the kernel."""
    if SIGNATURES.exists() and SIGNATURES.read_text().strip() == "Y":
        return "module.sig_enforce"
    assert "[none]" not in LOCKDOWN.read_text()
    return "lockdown"


def status(*options: str) -> str:
    command = [sys.executable, "-m", "nvi_operator", "module", "status", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_the_kernel_takes_no_unsigned_module() -> None:
    done = subprocess.run(["modprobe", "nvi"], capture_output=True, text=True, check=False)
    assert done.returncode, "otherwise this machine tests nothing"


def test_status_says_what_requires_a_signature_and_how_to_sign() -> None:
    assert json.loads(status("-o", "json"))["case"] == "unsigned"
    text = status()
    assert f"is not signed, but {enforcer()} requires it" in text
    assert "mokutil" in text or "sign-file" in text


def test_auto_uses_ebpf_and_says_why(site: Site) -> None:
    gateway = GatewayHost(site.gateway)
    done = gateway.apply(spec("{ type: auto }"))
    assert "note: dataplane bpf: auto, and " in done.stderr
    assert f"is not signed, but {enforcer()} requires it" in done.stderr
    assert gateway.differences(spec("{ type: auto }")) == []
    site.far.serve(443)
    with site.client.connect(site.far.address, 443) as flow:
        assert flow.seen == "203.0.113.2"
    assert site.leaks() == 0


def test_a_spec_that_requires_the_module_is_refused_before_any_change(site: Site) -> None:
    gateway = GatewayHost(site.gateway)
    done = gateway.nvictl("apply", gateway.spec(spec("{ type: kmod }")), check=False)
    assert (done.returncode, gateway.owned()) == (1, [])
    assert f"is not signed, but {enforcer()} requires it" in done.stderr
