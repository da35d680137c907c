"""`nvictl module` on a fake machine, and what plan and apply make of the verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nvi_operator.cli import main
from nvi_operator.errors import CapabilityError
from nvi_operator.kernel.drivers import module as driver
from nvi_operator.kernel.kmod import survey
from nvi_operator.kinds.link import Link
from nvi_operator.kinds.module import Module
from nvi_operator.kmod.facts import ModuleFacts, ModuleFile
from nvi_operator.language.load.loader import load_directory
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Action, Change
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import dry_run, reconcile
from nvi_operator.state.host import HostState, Ref
from nvi_operator.testing import FakeKernel

ROOT = Path(__file__).resolve().parents[3]
LOADED = ModuleFacts(loaded=True, loaded_version="0.3.0")
OLD = replace(LOADED, loaded_version="0.1.0", headers=True)
INSTALLED = ModuleFacts(installed=ModuleFile("/x/nvi.ko", "0.3.0"), may_load=True)
WANTED = HostState.of([("module", Module("nvi"))])
LOAD = Change(Ref("module", "nvi"), Action.CREATE, None, Module("nvi"))


def machine(monkeypatch: pytest.MonkeyPatch, facts: ModuleFacts) -> None:
    for where in (survey, driver):
        monkeypatch.setattr(where, "survey_module", lambda: facts)


# --------------------------------------------------------------------------- nvictl module


@pytest.mark.parametrize(
    ("facts", "code", "words"),
    [
        (LOADED, 0, ["module nvi: usable: nvi 0.3.0 is loaded"]),
        (OLD, 1, ["not usable", "    nvictl down && rmmod nvi"]),
        (ModuleFacts(takes_modules=False), 1, ["this kernel takes no modules", "takes no modules"]),
        (ModuleFacts(headers=True), 1, ["    nvictl module install"]),
        (INSTALLED, 0, ["/x/nvi.ko, version 0.3.0, for an unknown kernel, signature unknown"]),
        (replace(INSTALLED, enforced="lockdown", secure_boot=True), 0, ["required by lockdown"]),
    ],
)
def test_status_says_whether_it_can_be_used_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    facts: ModuleFacts,
    code: int,
    words: list[str],
) -> None:
    machine(monkeypatch, facts)
    assert main(["module", "status"]) == code
    shown = capsys.readouterr().out
    for word in words:
        assert word in shown
    assert main(["module", "status", "-o", "json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert data["usable"] is (code == 0)
    assert data["facts"]["loaded"] is facts.loaded


def test_status_works_on_this_machine_whatever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["module", "status"]) in (0, 1)
    assert "module nvi: " in capsys.readouterr().out


@pytest.mark.parametrize("action", ["build", "install"])
def test_a_kernel_without_headers_is_an_error_with_a_hint(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["module", action, "--kernel", "9.9.9-none"]) == 1
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("nvictl: module nvi: build: headers of kernel 9.9.9-none not found")
    assert "hint: " in streams.err
    assert "9.9.9-none" in streams.err.partition("hint: ")[2]


# --------------------------------------------------------------------------- plan and apply


@pytest.mark.parametrize(("facts", "seen"), [(LOADED, True), (OLD, False), (INSTALLED, False)])
def test_a_module_that_is_too_old_does_not_count_as_loaded(
    monkeypatch: pytest.MonkeyPatch, facts: ModuleFacts, seen: bool
) -> None:
    machine(monkeypatch, facts)
    assert list(driver.ModuleDriver().observe(WANTED)) == ([Module("nvi")] if seen else [])
    assert list(driver.ModuleDriver().observe(HostState())) == []


def test_the_check_refuses_what_cannot_be_loaded_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, OLD)
    with pytest.raises(
        CapabilityError, match=r"module nvi: load for dataplane kmod: nvi 0\.1\.0 is loaded"
    ) as caught:
        driver.ModuleDriver().check(LOAD)
    assert caught.value.hint.startswith("nvictl module install; nvictl down && rmmod nvi; ")
    assert caught.value.hint.endswith("; or set spec.dataplane.type to auto or bpf")
    machine(monkeypatch, INSTALLED)
    driver.ModuleDriver().check(LOAD)


@pytest.mark.parametrize(("type_", "chosen"), [("kmod", "kmod"), ("auto", "bpf: auto, and")])
def test_a_plan_names_a_module_that_is_too_old_and_the_version_that_is_needed(type_: str, chosen: str) -> None:
    kernel, edge = gateway(type_)
    kernel.facts_ = replace(kernel.facts_, module=OLD)
    topology = dry_run(kernel, edge).topology
    assert topology is not None
    (note,) = [note for note in topology.notes if note.startswith("dataplane ")]
    assert note.startswith(f"dataplane {chosen}")
    assert "nvi 0.1.0 is loaded, but 0.3.0 or newer is required; nvictl module status" in note


class RefusingKernel(FakeKernel):
    """The module looks loadable; loading it fails."""

    def apply(self, change: Change) -> None:
        if change.ref.kind == "module":
            self.applied.append(change)
            self.facts_ = replace(self.facts_, module=replace(INSTALLED, refused="bad key"))
            raise CapabilityError("module nvi: load for dataplane kmod: bad key")
        super().apply(change)


def gateway(dataplane: str) -> tuple[RefusingKernel, Compiler]:
    spec = load_directory(ROOT / "examples/dual-wan").spec
    spec = GatewaySpec.model_validate(
        {**spec.model_dump(by_alias=True, exclude_none=True), "dataplane": {"type": dataplane}}
    )
    kernel = RefusingKernel.for_spec(spec)
    kernel.facts_ = replace(kernel.facts_, module=INSTALLED)
    assert isinstance(kernel, RefusingKernel)
    return kernel, Compiler("edge", spec)


def test_auto_falls_back_to_ebpf_and_says_why() -> None:
    kernel, edge = gateway("auto")
    done = reconcile(kernel, edge).plan
    assert done.topology is not None
    assert (
        "dataplane bpf: auto, and the kernel refused to load /x/nvi.ko: bad key; "
        "nvictl module status names the commands to run"
    ) in done.topology.notes
    (link,) = kernel.state.of_kind("link")
    assert isinstance(link, Link)
    assert link.kind == "ifb"
    assert [change.ref.kind for change in kernel.applied].count("module") == 1, "it is tried once"
    assert not dry_run(kernel, edge)


def test_a_spec_that_requires_the_module_is_refused_and_changes_nothing() -> None:
    kernel, edge = gateway("kmod")
    with pytest.raises(CapabilityError, match="bad key"):
        reconcile(kernel, edge)
    assert not kernel.objects
