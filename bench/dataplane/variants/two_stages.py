"""Ours, as a user has it: `nvictl apply` of examples/dual-wan, and a document that names the dataplane."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.dataplane.bed import Bed
from tests.lab import GatewayHost, Lab
from tests.lab.gateway import ROOT

SPEC = ROOT / "examples" / "dual-wan"


def two_stages(type_: str, source: str, cache: str = "off", entries: int = 1 << 16) -> Callable[[Lab, str], Bed]:
    def build(lab: Lab, name: str) -> Bed:
        bed = Bed(lab, name)
        with TemporaryDirectory(prefix="nvi-bench-") as scratch:
            directory = Path(shutil.copytree(SPEC, scratch, dirs_exist_ok=True))
            document = (
                "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\n"
                f"spec: {{ dataplane: {{ type: {type_}, inInterface: {source}, flowCache: {cache},"
                f" flowCacheEntries: {entries} }} }}\n"
            )
            (directory / "dataplane.yaml").write_text(document, encoding="utf-8")
            GatewayHost(bed.outer).apply(directory)
        return bed

    return build
