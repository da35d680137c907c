"""One spec for many hosts: a document of a host changes what its site says."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from nvi_operator.errors import SpecError
from nvi_operator.history.revision import Content
from nvi_operator.language.fast.incremental import reload
from nvi_operator.language.load.every_host import load_every_host
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.load.yaml_reader import parse
from nvi_operator.language.schema import host_schema, schema
from nvi_operator.rollout.content import content_of, loaded_from
from tests.unit.language.sites import EDGE_1, SITE, host, load, refused
from tests.unit.language.specs import HEAD

# --------------------------------------------------------------------------- the host's document


def test_a_host_changes_adds_and_removes_what_the_site_has() -> None:
    loaded = load(
        host(
            "edge-1",
            "  vars: {wan: 203.0.113.2, share: 5}\n"
            "  uplinks:\n"
            "    isp-b: {nextHop: null, interface: ppp0}\n"
            "    lte: {interface: wwan0}\n"
            "  sourceNat:\n"
            "    - {name: clients, as: lte}\n"
            "    - {name: guests, from: 10.1.9.0/24, as: isp-b}\n"
            "  forwards: {web: null}\n"
            "  failback: move\n"
            "  dataplane: {hideHop: true}\n",
        )
    )
    spec = loaded.spec
    assert (spec.uplinks["isp-b"].interface, spec.uplinks["isp-b"].next_hop) == ("ppp0", None)
    assert str(spec.uplinks["isp-b"].addresses[0]) == "198.51.100.2", "what the host does not name stays"
    assert spec.uplinks["isp-a"].weight == 5
    assert [rule.name for rule in spec.source_nat] == ["guests", "clients", "all"], "rules of the host go first"
    assert list(spec.source_nat[1].as_.names) == ["lte"]
    assert spec.source_nat[1].from_ is not None
    assert not spec.forwards
    assert spec.failback == "move"
    assert spec.dataplane.hide_hop


def test_a_host_finds_what_the_site_calls_by_a_variable() -> None:
    over = "  vars: {wan: 203.0.113.2, lan: br0}\n  interfaces: {br0: {networks: 10.7.0.0/16}}\n"
    assert [str(n) for n in load(host("edge-1", over)).spec.interfaces["br0"].networks] == ["10.7.0.0/16"]


def test_on_another_host_nothing_of_it_counts() -> None:
    second = host("edge-2", "  vars: {wan: 203.0.113.9}\n  forwards: {web: null}\n")
    assert list(load(EDGE_1, second).spec.forwards) == ["web"]
    assert not load(EDGE_1, second, on="edge-2").spec.forwards


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            "  uplinks: {isp-b: {nextHop: 198.51.100.300}}\n",
            "edge-1.yaml:5:30: spec.uplinks.isp-b.nextHop: '198.51.100.300' is not an IPv4 or IPv6 address (in the "
            "place of site.yaml:14:64)",
        ),
        (
            "  sourceNat: [{name: all, as: {uplinks: isp-a, unchanged: true}}]\n",
            "edge-1.yaml:5:31: spec.sourceNat[1].as: give exactly one of unchanged, uplinks, first and pool (in the "
            "place of site.yaml:17:23)",
        ),
        (
            "  sourceNat: [{name: all, as: isp-a}, {name: all, as: isp-b}]\n",
            "edge-1.yaml:5:39: spec.sourceNat[1]: sourceNat 'all' is already defined at edge-1.yaml:5:15",
        ),
        (
            "  uplinks: {isp-b: {nexthop: null}}\n",
            "edge-1.yaml:5:21: spec.uplinks.isp-b.nexthop: there is no 'nexthop' to remove in the site's spec\n"
            "  hint: did you mean 'nextHop'?",
        ),
        (
            "  uplinks: {isp-c: null}\n",
            "edge-1.yaml:5:13: spec.uplinks.isp-c: there is no 'isp-c' to remove in the site's spec",
        ),
        (
            "  uplink: {}\n",
            "edge-1.yaml:5:3: spec.uplink: there is no field 'uplink'\n  hint: did you mean 'uplinks'?",
        ),
        ("  host: edge-1\n", "edge-1.yaml:5:3: spec.host: a host cannot choose its gateway"),
        ("  uplinks: {lte: {}}\n", "edge-1.yaml:5:18: spec.uplinks.lte.interface: interface is missing"),
        (
            "  interfaces: {lan0: {networks: [10.1.0.0/16, 10.2.0.1/16]}}\n",
            "edge-1.yaml:5:47: spec.interfaces.lan0.networks[1]: '10.2.0.1/16' has host bits set",
        ),
        (
            "  forwards: {web: {at: isp-b, to: 192.0.2.99, tenant: red}}\n",
            "edge-1.yaml:5:55: spec.forwards.web.tenant: there is no tenant 'red'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_place_of_both(spec: str, problem: str) -> None:
    site = SITE.replace("${wan}", "203.0.113.2").replace("${lan}", "lan0")
    found = refused({"site.yaml": site, "edge-1.yaml": host("edge-1", spec)})
    assert any(text.startswith(problem) for text in found), found


@pytest.mark.parametrize(
    ("written", "machine"),
    [
        ("edge-1", "edge-1.example.org"),
        ("edge-1.example.org", "edge-1"),
        ("edge-1", "EDGE-1"),
        ("Edge-1", "edge-1.lan"),
    ],
)
def test_a_machine_that_is_called_otherwise_than_its_document_does_not_go_without_it(
    written: str, machine: str
) -> None:
    site = SITE.replace("${wan}", "203.0.113.2")
    over = host(written, "  vars: {lan: lan9}\n")
    assert load_texts({"site.yaml": site, "over.yaml": over}, hostname=written).spec.interfaces.keys() == {"lan9"}
    assert refused({"site.yaml": site, "over.yaml": over}, on=machine)[0].startswith(
        f"over.yaml:3:18: metadata.name: host {machine!r} has no document of its own, and this one is of {written!r}"
    )
    own = host(machine, "  vars: {lan: lan7}\n")
    both = load_texts({"site.yaml": site, "over.yaml": over, "own.yaml": own}, hostname=machine)
    assert both.spec.interfaces.keys() == {"lan7"}


def test_two_documents_of_one_host_are_refused() -> None:
    assert refused({"site.yaml": SITE, "a.yaml": EDGE_1, "b.yaml": EDGE_1}) == [
        "b.yaml:3:18: metadata.name: host 'edge-1' is already described at a.yaml:3:18\n"
        "  hint: join the two, or rename one"
    ]


def test_a_host_changes_one_of_very_many_entries() -> None:
    many = "".join(f"    f{n}: {{at: isp-a, ports: {1000 + n}/tcp, to: 10.1.4.1}}\n" for n in range(500))
    over = host("edge-1", "  vars: {wan: 203.0.113.2}\n  forwards: {f7: {to: 10.1.4.7}, f9: null}\n")
    forwards = load(over, **{"z.yaml": HEAD + "spec:\n  forwards:\n" + many}).spec.forwards
    assert str(forwards["f7"].to[0]) == "10.1.4.7"
    assert (len(forwards), "f9" in forwards) == (500, False)


# --------------------------------------------------------------------------- every host, history, schema


def test_every_host_is_checked_and_a_problem_names_those_that_have_it(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "hosts/edge-1.yaml").write_text(EDGE_1)
    (tmp_path / "hosts/edge-2.yaml").write_text(host("edge-2", "  vars: {wan: 203.0.113.9}\n"))
    assert [(on.host, on.loaded.name) for on in load_every_host(tmp_path)] == [("edge-1", "gw"), ("edge-2", "gw")]
    (tmp_path / "hosts/edge-2.yaml").write_text(host("edge-2", "  vars: {wan: wan0}\n"))
    with pytest.raises(SpecError) as caught:
        load_every_host(tmp_path)
    assert [problem.message for problem in caught.value.problems] == [
        f"'wan0' is not an IPv4 or IPv6 address (${{wan}} is set at {tmp_path}/hosts/edge-2.yaml:5:15); on edge-2"
    ]


def test_a_spec_without_hosts_is_checked_as_it_is_everywhere(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE.replace("${wan}", "203.0.113.2"))
    assert [(on.host, on.loaded.name) for on in load_every_host(tmp_path)] == [(None, "gw")]


def test_a_kept_revision_means_what_it_meant_on_its_host() -> None:
    loaded = load(EDGE_1, host("edge-2", "  vars: {wan: 203.0.113.9}\n"))
    content = content_of(loaded, Path())
    assert sorted(content.files) == [".host", "host-0.yaml", "site.yaml"]
    assert loaded_from(content, "revision 1").spec == loaded.spec
    assert isinstance(content, Content)


def test_editors_know_variables_and_documents_of_hosts() -> None:
    def errors(text: str, known: object) -> list[str]:
        validator = jsonschema.Draft202012Validator(known)  # type: ignore[arg-type]
        (document,) = parse(text, "f")
        return [error.message for error in validator.iter_errors(document.data)]

    assert errors(SITE, schema()) == []
    over = host("edge-1", "  uplinks: {isp-b: {nextHop: null, weight: '${share}'}, isp-a: null}\n")
    assert errors(over, host_schema()) == []
    assert errors(over.replace("nextHop", "nexthop"), host_schema())
    assert errors(over.replace("kind: Host", "kind: Gateway"), host_schema())


def test_an_edit_of_a_name_that_the_host_removes_is_read_as_a_whole() -> None:
    rows = "name,at,ports,to\nmail,isp-a,25/tcp,10.1.0.25\n"
    site = SITE.replace("  forwards:\n", "  forwardsFrom: f.csv\n  forwards:\n")
    over = host("edge-1", "  vars: {wan: 203.0.113.2}\n  forwards: {web: null}\n")
    loaded = load_texts({"site.yaml": site, "e.yaml": over, "f.csv": rows}, hostname="edge-1")
    assert reload(loaded, "f.csv", rows.replace("25/tcp", "26/tcp").encode()) is not None
    assert reload(loaded, "f.csv", f"{rows}web,isp-a,80/tcp,10.1.0.80\n".encode()) is None


def test_a_gateway_of_the_site_that_a_host_does_not_change_is_noted() -> None:
    site = SITE.replace("${wan}", "203.0.113.2")
    loaded = load_texts({"site.yaml": site, "hosts/edge-1.yaml": EDGE_1}, hostname="laptop")
    assert [str(note) for note in loaded.notes] == [
        "site.yaml:3:18: metadata.name: host 'laptop' has no document of its own; there are some of edge-1\n"
        "  hint: choose one of them with --host, or add one"
    ]


def test_what_looks_like_a_document_of_a_host_is_told_to_become_one() -> None:
    site = SITE.replace("${wan}", "203.0.113.2")
    over = HEAD + "spec:\n  forwards: {web: {to: 10.1.0.81}}\n"
    (problem,) = refused({"site.yaml": site, "hosts/edge-1.yaml": over})
    assert problem.endswith("give one another name; what changes it for one host is a document of kind Host")


ROWS = """\
name,at,ports,to,from
mail,isp-a,25/tcp,10.1.0.25,office
dns,isp-a,53/udp,10.1.0.53,
vpn,isp-a,1194/udp,10.1.0.94,
"""
LINE = '{"name": "ntp", "at": "isp-a", "ports": "123/udp", "to": "10.1.0.123"}\n'


def with_files(over: str, rows: str = ROWS) -> dict[str, str]:
    site = SITE.replace("${wan}", "203.0.113.2") + "  addressSets: {office: 192.0.2.0/24}\n"
    site = site.replace("  forwards:\n", "  forwardsFrom: [f.csv, f.jsonl]\n  forwards:\n")
    return {"site.yaml": site, "e.yaml": host("edge-1", over), "f.csv": rows, "f.jsonl": LINE}


def test_a_host_changes_entries_of_files_as_those_of_the_yaml() -> None:
    over = """\
  forwards:
    mail: {to: 10.1.0.26, from: [office, 198.51.100.0/24]}
    dns: null
    vpn: {enabled: false}
    ntp: {ports: 124/udp}
    own: {at: isp-a, ports: 7/tcp, to: 10.1.0.7}
"""
    loaded = load_texts(with_files(over), hostname="edge-1")
    forwards = loaded.spec.forwards
    assert set(forwards) == {"web", "mail", "ntp", "own"}
    assert (str(forwards["mail"].to[0]), len(forwards["mail"].from_ or ())) == ("10.1.0.26", 2)
    assert str(forwards["ntp"].ports[0] if forwards["ntp"].ports else "") == "124/udp"
    assert str(loaded.where.find(("spec", "forwards", "mail", "to"))) == "e.yaml:6:16"
    assert str(loaded.where.find(("spec", "forwards", "mail", "at"))) == "f.csv:2:6"
    assert sorted(loaded.contents) == ["e.yaml", "f.csv", "f.jsonl", "site.yaml"]
    for before, after in (("1194", "1195"), ("53/udp", "54/udp"), ("0.25", "0.27")):
        assert reload(loaded, "f.csv", ROWS.replace(before, after).encode()) is None


@pytest.mark.parametrize(
    ("over", "problem"),
    [
        (
            "  forwards: {mail: {to: nowhere}}\n",
            "e.yaml:5:25: spec.forwards.mail.to: 'nowhere' is not an IPv4 or IPv6 address (in the place of "
            "f.csv:2:19)",
        ),
        (
            "  forwards: {smtp: null}\n",
            "e.yaml:5:14: spec.forwards.smtp: there is no 'smtp' to remove in the site's spec",
        ),
        (
            "  forwards: {smtp: {enabled: false}}\n",
            "e.yaml:5:20: spec.forwards.smtp.to: to is missing\n"
            "  hint: add `to: ...` here; the site's spec has no entry of this name, which it would change",
        ),
        (
            "  forwards: {dns: {from: ofice}}\n",
            "e.yaml:5:26: spec.forwards.dns.from: there is no address set 'ofice'",
        ),
        (
            "  forwards: {dns: {to: 10.1.0.53, at: isp-q}}\n",
            "e.yaml:5:39: spec.forwards.dns.at: there is no uplink 'isp-q' (in the place of f.csv:3:5)",
        ),
    ],
)
def test_what_is_wrong_with_an_entry_of_a_file_is_told_with_the_place_of_both(over: str, problem: str) -> None:
    (text,) = refused(with_files(over))
    assert f"{text}\n".startswith(f"{problem}\n")


def test_a_file_of_a_host_is_called_as_the_host() -> None:
    site = SITE.replace("${wan}", "203.0.113.2")
    assert refused({"site.yaml": site, "hosts/edge-2.yaml": EDGE_1}) == [
        "hosts/edge-2.yaml:3:18: metadata.name: this file is called edge-2, and describes host 'edge-1'\n"
        "  hint: rename one of them"
    ]
    for file in ("hosts/edge-1.yaml", "hosts/edge-1.example.yaml", "edge-2.yaml"):
        load_texts({"site.yaml": site, file: EDGE_1.replace("edge-1", file[6:-5] if "hosts" in file else "edge-1")})


def test_a_part_of_a_gateway_among_hosts_is_told_what_it_may_be_meant_as() -> None:
    site = SITE.replace("${wan}", "203.0.113.2")
    over = HEAD + "spec:\n  uplinks: {isp-a: {weight: 2}}\n"
    (problem,) = refused({"site.yaml": site, "hosts/edge-1.yaml": over})
    assert problem.endswith("add `interface: ...` here; what changes it for one host is a document of kind Host")
