"""Fixtures for all tests. Missing privilege is the only reason to skip, and CI has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.lab import GatewayHost, Lab, Site, dual_wan, partner_link, tenants


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab-keep", action="store_true", help="leave the namespaces of laboratories as they are")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if "netns" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def dataplanes() -> list[str]:
    """What this machine offers: eBPF always, the module where a device of kind nvi can be made."""
    probe = ["ip", "link", "add", "nvi-probe", "type", "nvi"]
    if os.geteuid() == 0 and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        subprocess.run(["ip", "link", "del", "nvi-probe"], check=True)
        return ["bpf", "kmod"]
    return ["bpf"]


@pytest.fixture(params=[f"{type_}-{source}" for type_ in dataplanes() for source in ("mark", "skb_iif")])
def dataplane(request: pytest.FixtureRequest) -> str:
    """YAML of `spec.dataplane`, for each dataplane and each way to know the in-interface in turn."""
    type_, _, source = str(request.param).partition("-")
    return f"{{ type: {type_}, inInterface: {source} }}"


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(keep=request.config.getoption("--lab-keep")) as made:
        yield made


@pytest.fixture
def site(lab: Lab) -> Site:
    return dual_wan(lab)


@pytest.fixture
def tenant_site(lab: Lab) -> Site:
    return tenants(lab)


@pytest.fixture
def partner_site(lab: Lab) -> Site:
    return partner_link(lab)


@pytest.fixture
def gateway(site: Site) -> GatewayHost:
    return GatewayHost(site.gateway)
