"""What a command starts, imports and lists: it is to be quick, and a test that times would tell little of that."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import GatewayHost
from tests.netns.scenarios import spec

pytestmark = pytest.mark.netns

# Runs a command, and says on the last line what it did.
_WATCHED = """\
import json, os, sys
from collections import Counter
done = Counter()
processes = []
sys.addaudithook(lambda event, args: processes.append(os.fsdecode(args[0])) if event == "subprocess.Popen" else None)
from nvi_operator.cli import main
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
dump = Rtnetlink._dump
def counted(self, kind, body, matches):
    done[kind] += 1
    return dump(self, kind, body, matches)
Rtnetlink._dump = counted
assert main(sys.argv[1:]) == 0
print()
print(json.dumps([processes, done, list(sys.modules)]))
"""
_LINKS, _ADDRESSES, _RULES = "18", "22", "34"  # RTM_GETLINK, RTM_GETADDR, RTM_GETRULE


@dataclass(frozen=True)
class Done:
    """Programs that were started, listings of rtnetlink by the type of their message, and what was imported."""

    programs: list[str]
    listings: dict[str, int]
    modules: frozenset[str]


Run = Callable[[str], Done]


@pytest.fixture
def applied(gateway: GatewayHost) -> Run:
    directory = gateway.spec(spec())
    gateway.apply(directory)

    def run(command: str) -> Done:
        done = gateway.host.run(sys.executable, "-c", _WATCHED, command, str(directory))
        programs, listings, modules = json.loads(done.stdout.splitlines()[-1])
        return Done([program.rpartition("/")[2] for program in programs], listings, frozenset(modules))

    return run


@pytest.mark.parametrize("command", ["plan", "status", "drift"])
def test_looking_starts_one_process_and_imports_no_more_than_it_needs(applied: Run, command: str) -> None:
    done = applied(command)
    assert done.programs == [Path(sys.executable).name], "libnftables"
    unused = {"pyroute2.iproute", "asyncio", "watchdog", "importlib.metadata", "shutil", "rich"}
    assert done.modules.isdisjoint({*unused, "nvi_operator.doctor"}), "and no colours, which no terminal shows"


def test_a_plan_needs_no_document_that_is_not_there_and_no_walk(applied: Run) -> None:
    documents = {"operator.model", "layers.layers", "load.entries", "load.validation_messages"}
    unused = {f"nvi_operator.language.{module}" for module in documents} | {"nvi_operator.explain.walk"}
    assert applied("plan").modules.isdisjoint(unused)


def test_a_plan_listens_to_nothing(applied: Run) -> None:
    assert "nvi_operator.kernel.netlink.events" not in applied("plan").modules


def test_a_plan_lists_links_addresses_and_rules_as_often_as_it_needs_them(applied: Run) -> None:
    listings = applied("plan").listings
    assert listings[_ADDRESSES] == 1, "for the facts"
    assert listings[_RULES] <= 4, "of each family, for the facts and for the owned rules"
    assert listings[_LINKS] <= 5, "for the facts, for the device, its program, and the group of each uplink"


def test_an_apply_without_checks_of_a_directory_imports_no_probes_and_no_saved_plan(applied: Run) -> None:
    unused = {"nvi_operator.daemon.probes.prober", "nvi_operator.rollout.saved_plan"}
    assert applied("apply").modules.isdisjoint(unused)


def test_an_apply_imports_of_pyroute2_what_its_changes_need(applied: Run) -> None:
    assert "pyroute2.iproute" not in applied("apply").modules, "there is nothing to change"
    removal = applied("down").modules
    assert "pyroute2.iproute" in removal
    assert "pyroute2.ndb" not in removal
