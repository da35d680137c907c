"""However a process with a laboratory ends: nothing of it remains, and nothing else is removed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.command import ROOT
from tests.lab.leftovers import namespaces, processes, undisturbed
from tests.lab.net import clean, until

pytestmark = pytest.mark.netns

BUILDS = """
from tests.lab import Lab, dual_wan
import signal
with Lab() as lab:
    print(lab.prefix, flush=True)
    dual_wan(lab)
    print("built", flush=True)
    signal.pause()
"""
FAILS = """
import pytest, signal, time

def test_fails(site):
    print(site.lab.prefix)
    assert not site.gateway.pings("203.0.113.1")

def test_passes(site):
    assert site.gateway.pings("203.0.113.1")

def test_fails_at_the_end(request, lab):
    lab.host("late")
    request.addfinalizer(lambda: 1 / 0)
"""
WAITS = """
import signal

def test_waits(site, request):
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\\nprefix", site.lab.prefix, flush=True)
    signal.pause()

def test_never_runs(site):
    raise AssertionError("the session goes on")
"""


def start(*argv: str) -> subprocess.Popen[str]:
    """Python that heeds an interrupt: what a shell starts in the background ignores it, and so would its children."""
    return subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


def line(process: subprocess.Popen[str], start_of_line: str, *, seconds: float = 30.0) -> str:
    """The next line that begins so; a process that ends before, or does not say it in time, is a failure."""
    assert process.stdout is not None
    deadline = threading.Timer(seconds, process.kill)
    deadline.start()
    try:
        for text in process.stdout:
            if text.startswith(start_of_line):
                return text.strip()
    finally:
        deadline.cancel()
    raise AssertionError(f"it ended, or was stopped after {seconds:g} s, before it printed {start_of_line!r}")


def run_tests(directory: Path, text: str, *options: str) -> subprocess.Popen[str]:
    """pytest with the fixtures of these tests, on a file outside of them."""
    (directory / "test_made.py").write_text(text)
    plugins = "-p", "tests.conftest", "-p", "no:cacheprovider"
    return start("-m", "pytest", *plugins, "--rootdir", str(directory), *options, str(directory))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_an_interrupted_laboratory_leaves_nothing(name: str) -> None:
    process = start("-c", BUILDS)
    prefix = line(process, "nvi")
    line(process, "built")
    assert len(namespaces(f"{prefix}-")) == 7
    process.send_signal(getattr(signal, name))
    process.communicate(timeout=10)
    assert namespaces(f"{prefix}-") == []


@pytest.mark.parametrize("hosts", range(7))
def test_a_laboratory_interrupted_while_it_is_built_leaves_nothing(hosts: int) -> None:
    process = start("-c", BUILDS)
    prefix = line(process, "nvi")
    until(lambda: len(namespaces(f"{prefix}-")) >= hosts, "some hosts are there")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 143
    assert namespaces(f"{prefix}-") == []


def test_an_impatient_user_does_not_stop_the_cleaning() -> None:
    process = start("-c", BUILDS)
    prefix = line(process, "nvi")
    line(process, "built")
    process.send_signal(signal.SIGINT)
    for left in range(6, 0, -1):  # whenever one more host is gone
        until(lambda left=left: len(namespaces(f"{prefix}-")) <= left, "the cleaning goes on")  # type: ignore[misc]
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert namespaces(f"{prefix}-") == []


def test_what_was_killed_is_found_and_removed_with_what_runs_in_it() -> None:
    process = start("-c", BUILDS.replace("signal.pause()", "lab.hosts['far'].popen('sleep', '100').wait()"))
    prefix = line(process, "nvi")
    line(process, "built")
    until(lambda: processes(namespaces(f"{prefix}-")), "sleep runs in far")
    assert clean(f"{prefix}-") == [], "its process is alive"
    process.kill()
    process.wait()  # not communicate(): sleep holds the pipe
    left = namespaces(f"{prefix}-")
    assert len(left) == 7
    assert clean(f"{prefix}-") == left
    assert namespaces(f"{prefix}-") == []
    process.communicate(timeout=10)


def test_programs_end_with_the_laboratory() -> None:
    with Lab() as lab:
        stubborn = lab.host("one").popen("bash", "-c", "trap '' TERM; echo ready; read", stdout=-1, stdin=-1)
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == "ready\n"
    assert stubborn.wait(1) == -signal.SIGKILL


def test_two_laboratories_are_side_by_side() -> None:
    with Lab() as one:
        one.host("same")
        with Lab() as other:
            other.host("same")
        assert namespaces(f"{one.prefix}-") == [one.hosts["same"].netns]


def test_signals_wait_until_it_is_done() -> None:
    done: list[str] = []

    def clean_up() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)  # an interrupt for pytest, see tests/conftest.py
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert done == ["all of it"]


def test_a_laboratory_is_kept_for_a_test_that_fails_and_only_then(tmp_path: Path) -> None:
    process = run_tests(tmp_path, FAILS, "--lab-keep")
    output, _ = process.communicate(timeout=60)
    prefix = f"nvi{process.pid}."
    kept = namespaces(prefix)
    try:
        assert "2 failed" in output or "1 failed, 2 passed, 1 error" in output, output
        assert f"ip netns exec {prefix}1-gw bash" in output, "how to get in"
        assert {name.split("-")[0] for name in kept} == {f"{prefix}1", f"{prefix}3"}, "the second one passed"
    finally:
        assert clean(prefix) == kept


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_test_run_that_is_interrupted_ends_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    process = run_tests(tmp_path, WAITS)
    line(process, "prefix")
    process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in output
    assert "the session goes on" not in output
    assert namespaces(f"nvi{process.pid}.") == []
