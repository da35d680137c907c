"""Fixtures for all tests.

Missing privilege is a reason to skip, and CI has it. So are missing headers of a kernel; `make kmod-test` runs those
tests where there are some.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator

import pytest

from nvi_operator.rollout.place import VARIABLE
from tests.lab import GatewayHost, Lab, Site, dual_wan, partner_link, tenants, traffic
from tests.lab.command import without_disk
from tests.lab.dataplanes import IN_INTERFACES, dataplanes

LABS = pytest.StashKey[list[Lab]]()  # of a test, with --lab-keep
FAILED = pytest.StashKey[bool]()  # any phase of a test
KEPT = pytest.StashKey[list[str]]()  # of the session
STATE = pytest.StashKey[str]()  # where histories are kept

LONGEST = (
    "test_fail_closed.py",
    "test_drift.py",
    "test_passes.py",
    "test_flow_changes.py",
    "test_run.py",
    "test_hostile.py",
    "test_many_addresses.py",
    "test_far_side.py",
    "test_checks.py",
    "test_saved_settings.py",
    "test_bench_control.py",
    "test_sticky.py",
    "test_proof.py",
    "test_losses.py",
    "test_bench_dataplane.py",
    "test_own_kind.py",
    "test_two_at_once.py",
    "test_many_forwards.py",
    "test_flow_cache.py",
    "test_confirm.py",
    "test_tutorial.py",
    "test_soak.py",
    "test_lab_cleanup.py",
    "test_nft_tables.py",
    "test_translate_to.py",
    "test_ci.py",
    "test_edits.py",
    "test_laws.py",
)


_HALF = {"mark": "off", "skb_iif": "auto"}  # by in-interface, the flow cache


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab-keep", action="store_true", help="leave the laboratories of tests that fail as they are")
    parser.addoption(
        "--flow-cache",
        choices=("half", "both"),
        default="half",
        help="scenarios with and without flow cache (both), or with it where in-interfaces are known by skb_iif",
    )
    parser.addoption("--soak", type=int, default=40, help="edits and heals of the test of the daemon's memory")


def pytest_configure(config: pytest.Config) -> None:
    """A SystemExit within a test only fails that test; an interrupt ends all, and fixtures are torn down."""
    config.stash[KEPT] = []
    without_disk()
    if not hasattr(config, "workerinput"):
        config.stash[STATE] = os.environ[VARIABLE] = tempfile.mkdtemp(prefix="nvi-state-")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[STATE], ignore_errors=True)


def pytest_report_header() -> str:
    return f"dataplanes: {', '.join(dataplanes())}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With --lab-keep the end of a test's laboratories waits until it is known whether anything failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    if report.when == "teardown":
        for lab in item.stash.get(LABS, []):
            lab.keep = item.stash[FAILED]
            if lab.keep:
                entries = (f"  ip netns exec {host.netns} bash" for host in lab.hosts.values())
                item.config.stash[KEPT] += [item.nodeid, *entries]
            lab.close()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[KEPT]:
        terminalreporter.section("laboratories kept; `python -m tests.lab clean` removes them")
        for line in config.stash[KEPT]:
            terminalreporter.line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: no worker is left alone with one of them at the end. `make test` keeps this order."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    if os.geteuid() == 0:
        return
    for item in items:
        if "netns" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each dataplane, each way to know the in-interface and the flow cache; by default one half of these, in which
    each way and the cache come once.
    """
    if "dataplane" in metafunc.fixturenames and not _has_own_dataplanes(metafunc):
        every = metafunc.config.getoption("--flow-cache") == "both"
        caches = {source: ("off", "auto") if every else (cache,) for source, cache in _HALF.items()}
        metafunc.parametrize(
            "dataplane",
            [
                pytest.param(
                    f"{{ type: {type_}, inInterface: {source}, flowCache: {cache} }}",
                    id=f"{type_}-{source}" + ("-cache" if cache == "auto" else ""),
                )
                for type_ in dataplanes()
                for source in IN_INTERFACES
                for cache in caches[source]
            ],
        )


def _has_own_dataplanes(metafunc: pytest.Metafunc) -> bool:
    names = (str(name) for marker in metafunc.definition.iter_markers("parametrize") for name in marker.args[:1])
    return any("dataplane" in name for name in names)


@pytest.fixture(autouse=True)
def warm_flows(request: pytest.FixtureRequest) -> Iterator[None]:
    """With a flow cache, flows of a scenario are cached before it looks at them.

    Not by the fixture `monkeypatch`, which then would outlive the laboratory of a test that hides its programs.
    """
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    with pytest.MonkeyPatch.context() as patch:
        if "flowCache: auto" in str(parameters.get("dataplane")):
            patch.setattr(traffic, "warm_up", 8)  # it learns a direction after 6 packets
        yield


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = Lab()
    if request.config.getoption("--lab-keep"):
        request.node.stash.setdefault(LABS, []).append(made)
        yield made
    else:
        with made:
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
