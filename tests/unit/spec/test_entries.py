"""Entries beside the YAML: CSV and JSON Lines, which mean the same as entries in it, and are refused as clearly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nvi_operator.errors import SpecError
from nvi_operator.spec.load import load_directory, load_files, load_texts
from nvi_operator.spec.models import GatewaySpec
from tests.unit.spec.specs import BASE, HEAD, Said, problems_in

INLINE = """\
  forwards:
    web: {at: isp-b, ports: 443/tcp, to: "192.168.1.80:8443"}
    mail: {ports: [25/tcp, 587/tcp], to: 192.168.1.25, from: [192.0.2.0/24, 198.18.0.0/15], hairpin: false}
    six: {at: isp-a, ports: 80/tcp, to: "[fd00:1::80]:8080", pick: random}
  static:
    printer: {address: 192.168.1.9, as: 203.0.113.17}
  twiceNat:
    site: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 10.1.0.0/28, becomes: 192.168.1.0/28, via: isp-a}
"""
FORWARDS_CSV = """\
# who asked for it is in the ticket
name, at,    ports,          to,                  from,                       hairpin, pick
web,  isp-b, 443/tcp,        192.168.1.80:8443,   ,                           ,

mail, ,      25/tcp 587/tcp, 192.168.1.25,        192.0.2.0/24 198.18.0.0/15, false,
six,  isp-a, "80/tcp",       "[fd00:1::80]:8080", ,                           ,        random
"""
FORWARDS_JSON = """\
{"name": "web", "at": "isp-b", "ports": "443/tcp", "to": "192.168.1.80:8443"}

{"name": "mail", "ports": ["25/tcp", "587/tcp"], "to": "192.168.1.25",\
 "from": ["192.0.2.0/24", "198.18.0.0/15"], "hairpin": false}
{"name": "six", "at": "isp-a", "ports": "80/tcp", "to": "[fd00:1::80]:8080", "pick": "random"}
"""
STATIC_CSV = "name,address,as\nprinter,192.168.1.9,203.0.113.17\n"
TWICE_CSV = "as,to,name,from,becomes,via\n203.0.113.16/28,10.1.0.0/28,site,192.168.1.0/28,192.168.1.0/28,isp-a\n"


def entries_of(spec: GatewaySpec) -> tuple[object, ...]:
    return spec.forwards, list(spec.forwards), spec.static, spec.twice_nat


@pytest.mark.parametrize("forwards", [("f.csv", FORWARDS_CSV), ("f.jsonl", FORWARDS_JSON)], ids=["csv", "jsonl"])
def test_entries_beside_the_yaml_mean_what_they_mean_in_it(forwards: tuple[str, str]) -> None:
    name, text = forwards
    document = BASE + f"  forwardsFrom: {name}\n  staticFrom: [s.csv]\n  twiceNatFrom: t.csv\n"
    files = {"gw.yaml": document, name: text, "s.csv": STATIC_CSV, "t.csv": TWICE_CSV}
    loaded = load_texts(files)
    assert entries_of(loaded.spec) == entries_of(load_texts({"gw.yaml": BASE + INLINE}).spec)
    assert loaded.files == ("gw.yaml", name, "s.csv", "t.csv")
