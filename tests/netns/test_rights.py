"""Rights: without any capability an apply and a `down` work; or they are refused, and nothing is changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from nvi_operator.rollout.place import VARIABLE
from tests.lab import GatewayHost
from tests.lab.command import ROOT
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

ENOUGH = "-all,+net_admin,+sys_admin"
# What is refused without it, and the capability that the hint names.
NEEDED = {
    "net_admin": ("rights: changing links, routes and rules", "CAP_NET_ADMIN"),
    "sys_admin": ("finding it by its number", "CAP_SYS_ADMIN"),
}


def nvictl(gateway: GatewayHost, bounding: str, *words: str) -> subprocess.CompletedProcess[str]:
    """As root with no more than these capabilities, in the gateway's namespace."""
    return gateway.host.run(
        *("setpriv", f"--bounding-set={bounding}", "env", f"PYTHONPATH={ROOT}"),
        *(sys.executable, "-m", "nvi_operator", *words),
        check=False,
        timeout=120,
    )


def of_the_unit() -> str:
    """The bounding set of packaging/nvi-operator.service, as setpriv(1) writes it."""
    unit = (ROOT / "packaging/nvi-operator.service").read_text()
    (names,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    return ",".join(["-all", *(name.lower().replace("cap_", "+") for name in names.split())])


def python(program: str) -> list[str]:
    """A command that runs the program with the rights of the unit."""
    return ["setpriv", f"--bounding-set={of_the_unit()}", "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", program]


def all_but(name: str) -> str:
    return f"+all,-{name}"


def works(gateway: GatewayHost, bounding: str) -> None:
    directory = gateway.spec(spec())
    done = nvictl(gateway, bounding, "apply", str(directory))
    assert done.returncode == 0, done.stderr
    assert gateway.differences(directory) == []
    done = nvictl(gateway, bounding, "down")
    assert done.returncode == 0, done.stderr
    assert gateway.owned() == []


def test_two_capabilities_are_enough_so_any_other_may_be_missing(gateway: GatewayHost) -> None:
    before = gateway.foreign()
    works(gateway, ENOUGH)
    assert gateway.foreign() == before


@pytest.mark.parametrize("name", NEEDED)
def test_without_one_that_is_needed_it_is_refused_with_its_name_and_nothing_is_changed(
    gateway: GatewayHost, name: str
) -> None:
    what, capability = NEEDED[name]
    before, directory = gateway.foreign(), str(gateway.spec(spec()))
    refused = nvictl(gateway, all_but(name), "apply", directory)
    assert refused.returncode == 1
    assert what in refused.stderr or "CAP_NET_ADMIN is missing" in refused.stderr
    assert capability in refused.stderr
    assert (gateway.owned(), gateway.foreign()) == ([], before)
    told = nvictl(gateway, all_but(name), "doctor", directory)
    assert told.returncode == 1
    assert capability in told.stdout
    gateway.apply(spec())
    held = gateway.owned()
    refused = nvictl(gateway, all_but(name), "down")
    assert refused.returncode == 1
    assert capability in refused.stderr
    assert gateway.owned() == held


def test_the_service_knows_whether_it_is_in_the_namespace_of_the_host(gateway: GatewayHost) -> None:
    """Where its history is, and its socket, depends on it; commands of root look for them there."""
    asks = python("from nvi_operator.kernel.netns import is_host; print(is_host())")
    assert subprocess.run(asks, capture_output=True, text=True, check=True).stdout == "True\n"
    assert gateway.host.run(*asks).stdout == "False\n"


def test_a_namespace_of_a_process_that_the_service_may_not_look_into_is_not_gone() -> None:
    lists = python("from nvi_operator.kernel.netns import living; living()")
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as there:
        assert there.stdout is not None
        try:
            assert there.stdout.readline()
            done = subprocess.run(lists, capture_output=True, text=True, check=False)
        finally:
            there.kill()
    assert "KernelError: namespaces: listing: one cannot be entered" in done.stderr


def test_a_read_only_proc_sys_is_refused_before_anything_is_changed(gateway: GatewayHost) -> None:
    directory = str(gateway.spec(spec()))
    before = gateway.foreign()
    script = f"mount -o bind,ro /proc/sys /proc/sys && exec {sys.executable} -m nvi_operator apply {directory}"
    done = gateway.host.run(
        "env", f"PYTHONPATH={ROOT}", "unshare", "-m", "sh", "-c", script, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "rights: writing /proc/sys/net" in done.stderr
    assert "Read-only file system. Nothing was changed" in done.stderr
    assert (gateway.owned(), gateway.foreign()) == ([], before)


@pytest.mark.parametrize("command", ["apply", "history", "show revision 1", "rollback", "confirm", "down"])
def test_an_ordinary_user_is_told_once_that_root_is_needed(gateway: GatewayHost, command: str) -> None:
    gateway.apply(spec())
    Path(os.environ[VARIABLE]).chmod(0o755)  # as /var/lib/nvi-operator
    with TemporaryDirectory(prefix="nvi-spec-") as name:
        Path(name).chmod(0o755)
        (Path(name) / "gateway.yaml").write_text(spec())
        refuses(gateway, *command.split(), *([name] if command == "apply" else []))


def test_an_ordinary_user_may_not_go_without_the_operator_document_of_root(gateway: GatewayHost) -> None:
    with TemporaryDirectory(prefix="nvi-spec-") as name:
        directory, document = Path(name) / "spec", Path(name) / "operator.yaml"
        directory.mkdir()
        (directory / "gateway.yaml").write_text(spec())
        document.write_text("apiVersion: nvi-operator/v1\nkind: Operator\nspec: {}\n")
        document.chmod(0o600)
        Path(name).chmod(0o755)
        refuses(gateway, "plan", str(directory), "--config", str(document))


def refuses(gateway: GatewayHost, *words: str) -> None:
    """To an ordinary user, who is told once that root is needed."""
    done = gateway.host.run(
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"PYTHONPATH={ROOT}"),
        *(sys.executable, "-m", "nvi_operator", *words),
        check=False,
    )
    error, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert error.endswith(": Permission denied")
    assert hint.strip() == "hint: run as root, or use sudo"
