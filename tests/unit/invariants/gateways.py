"""Gateways of tests, on a host that has all that their spec names."""

from __future__ import annotations

from nvi_operator.invariants.check import check
from nvi_operator.invariants.result import Finding, Result
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from nvi_operator.topology.assume import assume_missing
from nvi_operator.topology.facts import Facts
from nvi_operator.topology.resolve import resolve
from tests.unit.language.specs import BASE


def loaded(text: str, base: str = BASE) -> LoadedSpec:
    return load_texts({"gw.yaml": base + text})


def results(text: str, base: str = BASE) -> dict[str, Result]:
    spec = loaded(text, base)
    topology = resolve(spec.name, spec.spec, assume_missing(spec.spec, Facts("")))
    return {result.name: result for result in check(spec.spec, topology)}


def findings(name: str, text: str, base: str = BASE) -> tuple[Finding, ...]:
    return results(text, base)[name].findings
