"""The benchmark of gateways runs, and does not time a gateway that does not translate. Times are not looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.dataplane.__main__ import main
from bench.dataplane.bed import Bed
from bench.dataplane.kinds import KINDS, NotMeasurableError, Setting
from bench.dataplane.rounds import measure
from bench.dataplane.variants import BASE, VARIANTS, available
from bench.dataplane.variants.single import snat
from tests.examples import ALL
from tests.lab import Lab

pytestmark = pytest.mark.netns

# One kind of packets tells a gateway that is set up wrongly; `make soak` sends them all, through every gateway.
SENT = tuple(KINDS) if ALL else ("udp",)
BUILT = tuple(name for name in available() if ALL or name in ("snat", "bpf", "bpf-cache"))
QUICK = ("--rounds", "1", "--seconds", "0.002", "--kinds", ",".join(SENT), "--variants", ",".join(BUILT))


@pytest.mark.parametrize("family", ["4", "6"] if ALL else ["4"])
def test_every_variant_translates(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written, data = tmp_path / "table.md", tmp_path / "numbers.json"
    assert main([*QUICK, "--family", family, "--write", str(written), "--json", str(data)]) == 0
    text = capsys.readouterr().out
    assert written.read_text() == text
    for name in BUILT:
        assert f"\n| {name} " in text
    results = json.loads(data.read_text())["results"]
    assert {(r["variant"], r["kind"]) for r in results} == {(v, k) for v in BUILT for k in SENT}
    assert all(r["cost"]["median"] > 0 for r in results)


@pytest.mark.parametrize("kind", ["udp", "new-flows", "tcp"])
def test_a_gateway_that_does_not_translate_is_refused(kind: str, lab: Lab) -> None:
    lazy = Bed(lab, "lazy")
    with pytest.raises(NotMeasurableError, match="lazy"):
        measure(KINDS[kind], {BASE: snat(lab, "b"), "lazy": lazy}, BASE, Setting(4, 0, 64, 0.002), 1, print)


def test_a_gateway_that_loses_packets_is_refused(lab: Lab) -> None:
    lossy = VARIANTS[BASE](lab, "lossy")
    lossy.outer.nft(
        "table inet loss { chain forward { type filter hook forward priority 0;\n numgen inc mod 20 0 drop; }\n}\n"
    )
    with pytest.raises(NotMeasurableError, match="only"):
        measure(KINDS["udp"], {BASE: lossy}, BASE, Setting(4, 0, 64, 0.002), 1, print)
