"""Address sets, descriptions and disabled entries: wherever an entry is written."""

from __future__ import annotations

import json

import pytest

from nvi_operator.language.fast.incremental import reload
from nvi_operator.language.load.loader import LoadedSpec, load_texts
from nvi_operator.language.model.sections import LANGUAGE, Join
from tests.unit.language.specs import BASE, problems_in

SETS = """\
  addressSets:
    office: [192.0.2.0/24, "2001:db8:9::/48"]
    partner: {networks: 198.51.100.77, description: "the partner's only host"}
"""
BOTH = "office, 203.0.113.99, partner"
WRITTEN = '192.0.2.0/24, "2001:db8:9::/48", 203.0.113.99, 198.51.100.77'


def load(*texts: str, **files: str) -> LoadedSpec:
    return load_texts({"gw.yaml": "".join(texts), **files})


@pytest.mark.parametrize(
    "section",
    [
        "  sourceNat: [{name: a, from: 192.168.1.0/24, to: [X], as: isp-a}]\n",
        "  sourceNat: [{name: a, except: {to: [X], from: [X]}, as: isp-a}]\n",
        "  forwards: {web: {at: isp-b, ports: 443/tcp, to: 192.168.1.80, from: [X]}}\n",
        "  forwards: {web: {at: isp-b, ports: 443/tcp, to: 192.168.1.80, except: [X]}}\n",
        "  forwards:\n    web:\n      at: isp-b\n      ports: 443/tcp\n      to: 192.168.1.80\n      from: [X]\n",
        "  redirects: {dns: {ports: 53/udp, to: self, except: [X]}}\n",
        "  static: {one: {address: 192.168.1.9, as: 203.0.113.18, to: [X]}}\n",
        "  routes: [{name: r, to: [X], via: isp-b}, {name: s, in: lan0, except: {to: [X]}, via: isp-b}]\n",
        "  assert: [{name: a, from: [X], never: 22/tcp}]\n",
    ],
)
def test_the_name_of_a_set_means_its_addresses_in_every_condition(section: str) -> None:
    named, written = (load(BASE, SETS, section.replace("X", by)).spec for by in (BOTH, WRITTEN))
    assert named == written


def test_entries_in_files_name_sets_as_well_and_an_edit_of_them_is_read_by_itself() -> None:
    head = BASE + SETS + "  forwardsFrom: [f.csv, f.jsonl]\n"
    csv = "name,at,ports,to,from\nweb,isp-b,443/tcp,192.168.1.80,office 203.0.113.99\n"
    lines = json.dumps({"name": "mail", "at": "isp-b", "ports": "25/tcp", "to": "192.168.1.25", "from": "office"})
    loaded = load(head, **{"f.csv": csv, "f.jsonl": lines + "\n"})
    clients = [str(network) for network in loaded.spec.forwards["web"].from_ or ()]
    assert clients == ["192.0.2.0/24", "2001:db8:9::/48", "203.0.113.99/32"]
    edited = reload(loaded, "f.csv", csv.replace("office", "partner").encode())
    assert edited is not None
    assert edited[0].spec == load(head, **{"f.csv": csv.replace("office", "partner"), "f.jsonl": lines}).spec
    assert reload(loaded, "f.csv", csv.replace("office", "ofice").encode()) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "  sourceNat: [{name: a, to: [192.0.2.0/24, ofice], as: isp-a}]\n",
            ("16:44", "spec.sourceNat[0].to[1]", "there is no address set 'ofice'", "did you mean 'office'?"),
        ),
        (
            "  sourceNat: [{name: a, to: lan0, as: isp-a}]\n",
            (
                "16:29",
                "spec.sourceNat[0].to",
                "there is no address set 'lan0'",
                "write a prefix, as in 192.0.2.0/24, or add the name to spec.addressSets",
            ),
        ),
        (
            "  forwards: {web: {at: office, ports: 443/tcp, to: 192.168.1.80}}\n",
            (
                "16:24",
                "spec.forwards.web.at",
                "there is no uplink 'office'",
                "it is an address set, which stands in from, to and except alone; there are: dsl, isp-a, isp-b",
            ),
        ),
    ],
)
def test_a_name_that_is_not_known_there_is_told_with_what_was_meant(text: str, problem: tuple[str, ...]) -> None:
    assert problems_in(BASE + SETS + text) == [problem]


def test_a_set_that_is_wrong_is_one_problem_wherever_it_is_named() -> None:
    text = BASE + SETS.replace("192.0.2.0/24", "192.0.2.1/24") + "  routes: [{name: r, to: office, via: isp-b}]\n"
    assert [message for _, _, message, _ in problems_in(text)] == ["'192.0.2.1/24' has host bits set"]


def test_a_set_has_no_name_that_means_something_else() -> None:
    text = BASE + "  addressSets: {inside: 192.0.2.0/24}\n"
    assert [message for _, _, message, _ in problems_in(text)] == ["'inside' means something else in a spec"]


def test_a_set_that_nothing_names_is_noted() -> None:
    loaded = load(BASE, SETS, "  routes: [{name: r, to: office, via: isp-b}]\n")
    assert [str(note) for note in loaded.notes] == [
        "gw.yaml:15:5: spec.addressSets.partner: address set 'partner' is not used\n"
        "  hint: remove it, or name it in a condition"
    ]


# --------------------------------------------------------------------------- description and enabled


def test_every_entry_of_every_section_has_a_description_and_can_be_disabled() -> None:
    joined = {section.name for section in LANGUAGE.sections if section.join is not Join.ONCE}
    assert LANGUAGE.switched == joined - {"vars"}


def test_a_disabled_entry_is_as_if_it_were_not_there() -> None:
    entries = """\
  sourceNat:
    - {name: a, as: isp-a, enabled: false, description: "during the works"}
    - {name: b, as: isp-b}
  forwards:
    web: {at: isp-b, ports: 443/tcp, to: 192.168.1.80}
    old: {at: isp-b, ports: 443/tcp, to: 192.168.1.81, enabled: false}
  addressSets: {none-yet: {networks: 192.0.2.0/24, enabled: false}}
"""
    without = "".join(line for line in entries.splitlines(keepends=True) if "enabled: false" not in line)
    loaded = load(BASE, entries)
    assert loaded.spec == load(BASE, without).spec
    assert loaded.counts_text == "1 interface, 3 uplinks, 1 sourceNat, 1 forward (3 more disabled)"
    assert str(loaded.where.find(("spec", "sourceNat", 0, "as"))) == "gw.yaml:15:21"


def test_what_names_a_disabled_entry_is_told_so() -> None:
    text = (
        BASE.replace("wan1, addresses", "wan1, enabled: false, addresses") + "  sourceNat: [{name: a, as: isp-b}]\n"
    )
    assert problems_in(text) == [
        ("13:29", "spec.sourceNat[0].as", "the uplink 'isp-b' is disabled", "enable it, or disable this as well")
    ]
    text = BASE + SETS.replace("{net", "{enabled: false, net") + "  routes: [{name: r, to: partner, via: isp-b}]\n"
    assert [message for _, _, message, _ in problems_in(text)] == ["the address set 'partner' is disabled"]


def test_two_entries_of_one_name_are_refused_although_one_is_disabled() -> None:
    texts = {
        "a.yaml": BASE + "  forwards: {web: {to: 192.168.1.80, enabled: false}}\n",
        "b.yaml": BASE.partition("spec:")[0] + "spec:\n  forwards: {web: {to: 192.168.1.81}}\n",
    }
    assert [message for _, _, message, _ in problems_in(dict(texts))] == [
        "forwards 'web' is already defined at a.yaml:13:14"
    ]


def test_rows_have_descriptions_with_spaces_and_can_be_disabled() -> None:
    csv = (
        "name,at,ports,to,enabled,description\n"
        'web,isp-b,443/tcp,192.168.1.80,,"The shop, ""old"" one"\n'
        "mail,isp-b,25/tcp,192.168.1.25,false,443 is not a port here\n"
    )
    head = BASE + "  forwardsFrom: f.csv\n"
    loaded = load(head, **{"f.csv": csv})
    assert {name: forward.description for name, forward in loaded.spec.forwards.items()} == {
        "web": 'The shop, "old" one'
    }
    again = csv.replace("false", "true")
    assert reload(loaded, "f.csv", again.encode()) is None, "whether an entry is there is settled by reading it all"
    assert load(head, **{"f.csv": again}).spec.forwards["mail"].description == "443 is not a port here"
    assert reload(loaded, "f.csv", (csv + "old,isp-b,26/tcp,192.168.1.26,,\n").encode()) is not None
    assert reload(loaded, "f.csv", (csv + "mail,isp-b,26/tcp,192.168.1.26,,\n").encode()) is None
