"""How the module is loaded: by modprobe, on demand, or not at all; and the messages in each case."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import GatewayHost, Lab, Site, dual_wan
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

LOADED = Path("/sys/module/nvi")
MODPROBE = Path("/proc/sys/kernel/modprobe")
REMEMBERED = Path("/run/nvi-operator/module-refused.json")
LOAD = (sys.executable, "-c", "from nvi_operator.kernel.kmod.load import load; load()")
WITHOUT = ("setpriv", "--bounding-set=-sys_module", "--inh-caps=-sys_module")
STATUS = (sys.executable, "-m", "nvi_operator", "module", "status", "-o", "json")


@pytest.fixture(autouse=True)
def _not_loaded() -> Iterator[None]:
    subprocess.run(["modprobe", "-r", "nvi"], check=True)
    yield
    subprocess.run(["modprobe", "nvi"], check=True)
    REMEMBERED.unlink(missing_ok=True)


@pytest.fixture
def site() -> Iterator[Site]:
    with Lab() as lab:
        yield dual_wan(lab)


@contextmanager
def configured(line: str) -> Iterator[None]:
    """With this line in modprobe.d(5)."""
    file = Path("/etc/modprobe.d/nvi-test.conf")
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{line}\n")
    try:
        yield
    finally:
        file.unlink()


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def case(*before: str) -> str:
    return str(json.loads(run(*before, *STATUS).stdout)["case"])


def test_apply_loads_it(site: Site) -> None:
    assert case() == "loadable"
    gateway = GatewayHost(site.gateway)
    done = gateway.apply(spec("{ type: auto }"))
    assert (LOADED.exists(), case(), done.stderr) == (True, "loaded", "")
    assert gateway.differences(spec("{ type: auto }")) == []


def test_without_the_right_to_load_it_the_kernel_loads_it_on_demand() -> None:
    assert case(*WITHOUT) == "loadable"
    done = run(*WITHOUT, *LOAD)
    assert (done.returncode, done.stderr, LOADED.exists()) == (0, "", True)


def test_status_reports_that_it_cannot_be_loaded() -> None:
    before = MODPROBE.read_text()
    MODPROBE.write_text("\n")
    try:
        assert case(*WITHOUT) == "not-permitted"
        assert case() == "loadable", "modprobe does not need kernel.modprobe"
    finally:
        MODPROBE.write_text(before)


def test_a_blacklisted_module_is_not_loaded_on_demand_and_the_hint_names_that() -> None:
    with configured("blacklist nvi"):
        done = run(*WITHOUT, *LOAD)
    assert "CAP_SYS_MODULE is missing" in done.stderr
    assert "blacklist" in done.stderr
    assert not LOADED.exists()


def test_auto_falls_back_to_ebpf_when_the_kernel_refuses_the_module(site: Site) -> None:
    gateway = GatewayHost(site.gateway)
    with configured("install nvi /bin/false"):
        done = gateway.apply(spec("{ type: auto }"))
    assert "note: dataplane bpf: auto, and the kernel refused to load" in done.stderr
    assert "ifb" in site.gateway.run("ip", "-d", "link", "show", "nvi0").stdout
    assert case() == "refused"
    assert gateway.differences(spec("{ type: auto }")) == []
    subprocess.run(["modprobe", "nvi"], check=True)
    assert case() == "loaded"


def test_a_spec_that_requires_it_is_refused_and_nothing_remains(site: Site) -> None:
    gateway = GatewayHost(site.gateway)
    with configured("install nvi /bin/false"):
        done = gateway.nvictl("apply", gateway.spec(spec("{ type: kmod }")), check=False)
    assert done.returncode == 1
    assert "module nvi: load for dataplane kmod: " in done.stderr
    assert gateway.owned() == []
