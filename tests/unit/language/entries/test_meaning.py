"""What entries mean is what they mean in the YAML."""

from __future__ import annotations

import pytest

from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.sections import LANGUAGE
from tests.unit.language.entries.beside import HEADER, READS_CSV, WEB
from tests.unit.language.specs import BASE, HEAD

INLINE = """\
  forwards:
    web: {at: isp-b, ports: 443/tcp, to: "192.168.1.80:8443"}
    mail: {ports: [25/tcp, 587/tcp], to: 192.168.1.25, from: [192.0.2.0/24, 198.18.0.0/15], hairpin: false}
    six: {at: isp-a, ports: 80/tcp, to: "[fd00:1::80]:8080", pick: random}
    sip: {at: isp-b, ports: 5060/udp, to: 192.168.1.50, fromPorts: [5060/udp, 6000-6009/udp], health: ping}
    ipsec: {at: isp-b, ports: 500/udp, protocol: [esp, 41], to: 192.168.1.50}
    voice:
      {at: isp-b, ports: 9/udp, to: 192.168.1.50, dscp: [ef, 34], mark: 0x10/0xff, except: [192.0.2.7, 192.0.2.9]}
  static:
    printer: {address: 192.168.1.9, as: 203.0.113.17, to: 192.0.2.0/24}
    rack:
      address: [192.168.1.32/28, 'fd00:1::2']
      as: ['2001:db8:a::2', 203.0.113.16/28]
      to: [192.0.2.128, '2001:db8:9::']
      except: [192.168.1.33, 203.0.113.17]
    desk: {address: 192.168.1.10, as: 203.0.113.17, in: [lan0]}
  twiceNat:
    site: {from: 192.168.1.0/28, as: 203.0.113.16/28, to: 10.1.0.0/28, becomes: 192.168.1.0/28, via: isp-a}
"""
FORWARDS_CSV = """\
# who asked for it is in the ticket
name, at, ports, to, from, hairpin, pick, fromPorts, protocol, health, dscp, mark, except
web, isp-b, 443/tcp, 192.168.1.80:8443, , , , , , , , ,

mail, , 25/tcp 587/tcp, 192.168.1.25, 192.0.2.0/24 198.18.0.0/15, false, , , , , , ,
six, isp-a, "80/tcp", "[fd00:1::80]:8080", , , random, , , , , ,
sip, isp-b, 5060/udp, 192.168.1.50, , , , 5060/udp 6000-6009/udp, , ping, , ,
ipsec, isp-b, 500/udp, 192.168.1.50, , , , , esp 41, , , ,
voice, isp-b, 9/udp, 192.168.1.50, , , , , , , ef 34, 0x10/0xff, 192.0.2.7 192.0.2.9
"""
FORWARDS_JSON = """\
{"name": "web", "at": "isp-b", "ports": "443/tcp", "to": "192.168.1.80:8443"}

{"name": "mail", "ports": ["25/tcp", "587/tcp"], "to": "192.168.1.25",\
 "from": ["192.0.2.0/24", "198.18.0.0/15"], "hairpin": false}
{"name": "six", "at": "isp-a", "ports": "80/tcp", "to": "[fd00:1::80]:8080", "pick": "random"}
{"name": "sip", "at": "isp-b", "ports": "5060/udp", "to": "192.168.1.50", "fromPorts": ["5060/udp", "6000-6009/udp"],\
 "health": {"by": "ping"}}
{"name": "ipsec", "at": "isp-b", "ports": "500/udp", "protocol": ["esp", 41], "to": "192.168.1.50"}
{"name": "voice", "at": "isp-b", "ports": "9/udp", "to": "192.168.1.50", "dscp": ["EF", "af41"], "mark": "0x10/0xff",\
 "except": ["192.0.2.7", "192.0.2.9"]}
"""
STATIC_CSV = """\
name,    address,                   as,                            to,                       in,   except
printer, 192.168.1.9,               203.0.113.17,                  192.0.2.0/24,                 ,
rack,    192.168.1.32/28 fd00:1::2, 2001:db8:a::2 203.0.113.16/28, 192.0.2.128 2001:db8:9::,     , 192.168.1.33 203.0.113.17
desk,    192.168.1.10,              203.0.113.17,                  ,                         lan0,
"""  # noqa: E501
TWICE_CSV = "as,to,name,from,becomes,via\n203.0.113.16/28,10.1.0.0/28,site,192.168.1.0/28,192.168.1.0/28,isp-a\n"


def entries_of(spec: GatewaySpec) -> tuple[object, ...]:
    return spec.forwards, list(spec.forwards), spec.static, spec.twice_nat


@pytest.mark.parametrize("forwards", [("f.csv", FORWARDS_CSV), ("f.jsonl", FORWARDS_JSON)], ids=["csv", "jsonl"])
def test_entries_beside_the_yaml_mean_what_they_mean_in_it(forwards: tuple[str, str]) -> None:
    name, text = forwards
    document = BASE + f"  forwardsFrom: {name}\n  staticFrom: [s.csv]\n  twiceNatFrom: t.csv\n"
    loaded = load_texts({"gw.yaml": document, name: text, "s.csv": STATIC_CSV, "t.csv": TWICE_CSV})
    assert entries_of(loaded.spec) == entries_of(load_texts({"gw.yaml": BASE + INLINE}).spec)
    assert loaded.files == ("gw.yaml", name, "s.csv", "t.csv")


def test_they_join_those_of_the_document_in_the_order_of_the_files() -> None:
    document = (
        BASE + "  forwards: {a: {at: isp-b, ports: 1/tcp, to: 192.168.1.1}}\n  forwardsFrom: [z.csv, sub/b.csv]\n"
    )
    texts = {
        "gw.yaml": document,
        "z.csv": HEADER + "z,isp-b,2/tcp,192.168.1.1\n",
        "sub/b.csv": "name,at,to,ports\nb,isp-b,192.168.1.1,3/tcp",
        "more.yaml": HEAD + "spec: {forwards: {m: {at: isp-b, ports: 4/tcp, to: 192.168.1.1}}}\n",
    }
    loaded = load_texts(texts)
    assert list(loaded.spec.forwards) == ["a", "z", "b", "m"]
    assert str(loaded.where.find(("spec", "forwards", "b", "ports"))) == "sub/b.csv:2:21"
    assert str(loaded.where.find(("spec", "forwards", "m", "ports"))) == "more.yaml:4:41"


@pytest.mark.parametrize("text", [HEADER.replace("\n", "\r\n") + WEB, "\ufeff" + HEADER + WEB], ids=["crlf", "bom"])
def test_what_a_spreadsheet_writes(text: str) -> None:
    assert list(load_texts({"gw.yaml": READS_CSV, "f.csv": text.encode()}).spec.forwards) == ["web"]


def test_a_file_that_no_document_names_is_not_read() -> None:
    assert load_texts({"gw.yaml": BASE, "notes.csv": "a;b;c\n"}).files == ("gw.yaml",)


def test_each_model_of_entries_has_its_field() -> None:
    fields = {str(field.alias) for field in GatewaySpec.model_fields.values()}
    assert set(LANGUAGE.files) == {field for field in fields if field.endswith("From")}
    assert {*LANGUAGE.files.values()} == {*LANGUAGE.bulk}
