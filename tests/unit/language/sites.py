"""A site with variables, the document of one of its hosts, and what they mean there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from tests.unit.language.specs import HEAD

SITE = (
    HEAD
    + """\
spec:
  vars:
    lan: lan0
    net: "10.1"
    clients: [10.1.2.0/24, 10.1.3.0/24]
    share: 3
  interfaces:
    ${lan}: {networks: ["${net}.0.0/16"]}
  uplinks:
    isp-a: {interface: wan0, addresses: "${wan}", weight: "${share}"}
    isp-b: {interface: wan1, addresses: 198.51.100.2, nextHop: 198.51.100.1}
  sourceNat:
    - {name: clients, from: "${clients}", as: isp-b}
    - {name: all, as: [isp-a, isp-b]}
  forwards:
    web: {at: isp-a, ports: 443/tcp, to: "${net}.0.80:8443"}
"""
)


def host(name: str, spec: str) -> str:
    return f"apiVersion: nvi-operator/v1\nkind: Host\nmetadata: {{name: {name}}}\nspec:\n{spec}"


EDGE_1 = host("edge-1", "  vars: {wan: 203.0.113.2}\n")


def load(*specs: str, on: str | None = "edge-1", **texts: str) -> LoadedSpec:
    files = {f"host-{number}.yaml": text for number, text in enumerate(specs)}
    return load_texts({"site.yaml": SITE, **files, **texts}, hostname=on)


def refused(texts: Mapping[str, str], on: str | None = "edge-1") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_texts(texts, hostname=on)
    return [str(problem) for problem in caught.value.problems]


def meaning(loaded: LoadedSpec) -> object:
    return loaded.spec.model_copy(update={"vars": {}}).model_dump()
