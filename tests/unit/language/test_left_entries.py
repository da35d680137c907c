"""One run tells what is wrong by itself and what is wrong as a whole, where the one does not hide the other."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import load_directory, load_gateways, load_texts
from nvi_operator.language.model.sections import LANGUAGE

SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata: {name: edge}
spec:
  interfaces:
    lan0: {networks: 192.168.1.0/24}
  uplinks:
    isp-a: {interface: wan0, nextHop: 203.0.113.1, addresses: 203.0.113.2}
  sourceNat:
    - {name: phones, ports: 70000/udp, as: isp-a}
    - {name: mail, protocl: tcp, as: isp-a}
    - {name: mail, from: 192.168.1.25, as: isp-a}
    - {name: mail, as: isp-b}
  forwards:
    web: {ports: 443/tcp, to: 192.168.1.300}
    more: {at: isp-c, ports: 80/tcp, to: 192.168.1.80}
"""
EXAMPLES = sorted(file.parent for file in (Path(__file__).parents[3] / "examples").glob("*/gateway.yaml"))


def told(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_texts({"g.yaml": text})
    return [f"{p.position}: {p.path}: {p.message}" for p in caught.value.problems]


def test_one_run_tells_what_is_wrong_by_itself_and_as_a_whole() -> None:
    assert told(SPEC) == [
        "g.yaml:10:29: spec.sourceNat[0].ports: '70000': ports are 1 to 65535",
        "g.yaml:11:20: spec.sourceNat[1].protocl: there is no field 'protocl'",
        "g.yaml:13:14: spec.sourceNat[3].name: sourceNat 'mail' is already defined at g.yaml:12:14",
        "g.yaml:13:24: spec.sourceNat[3].as: there is no uplink 'isp-b'",
        "g.yaml:15:31: spec.forwards.web.to: '192.168.1.300' is not an IPv4 or IPv6 address",
        "g.yaml:16:16: spec.forwards.more.at: there is no uplink 'isp-c'",
    ]


def test_what_may_be_due_to_another_mistake_is_not_told() -> None:
    """No uplink is missing where an uplink is what is wrong."""
    wrong = SPEC.replace("nextHop: 203.0.113.1", "nextHop: 203.0.113.256")
    assert not [line for line in told(wrong) if "there is no uplink" in line]


def test_no_gateway_is_read_without_its_wrong_entries() -> None:
    wrong = SPEC[: SPEC.index("    - {name: mail, from")].encode()
    with pytest.raises(SpecError):
        load_gateways({"g.yaml": wrong}, root=".", entries=lambda document, name: b"")


def without_one(text: str) -> Iterator[tuple[str, str]]:
    documents: list[Any] = list(yaml.safe_load_all(text))
    for number, document in enumerate(documents):
        spec = document.get("spec", {}) if document.get("kind") == "Gateway" else {}
        for section in LANGUAGE.sections:
            for key in list(spec.get(section.name, ())) if section.independent else ():
                smaller = copy.deepcopy(documents)
                entries = smaller[number]["spec"][section.name]
                del entries[spec[section.name].index(key) if isinstance(entries, list) else key]
                yield f"{section.name} {key}", yaml.safe_dump_all(smaller)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_nothing_depends_on_an_entry_of_an_independent_section(example: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(example, tmp_path / "spec"))
    for name, text in without_one((example / "gateway.yaml").read_text(encoding="utf-8")):
        (copied / "gateway.yaml").write_text(text, encoding="utf-8")
        assert load_directory(copied), name
