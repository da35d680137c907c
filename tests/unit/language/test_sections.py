"""A section of the spec is one field and one `Section`: all that reads a spec serves it, whichever way it joins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import jsonschema
import pytest
from pydantic import ConfigDict, Field

from nvi_operator.errors import SpecError
from nvi_operator.language.fast.incremental import reload
from nvi_operator.language.load.loader import LoadedSpec, load_directory, load_texts
from nvi_operator.language.model.base import Model, fields_of
from nvi_operator.language.model.fields import EntryFiles, Maybe, Name, Networks, SpecAddress, UplinksOrAddresses
from nvi_operator.language.model.gateway import Gateway, GatewaySpec
from nvi_operator.language.model.sections import LANGUAGE, SECTIONS, Join, Language, Section
from nvi_operator.language.schema import schema
from tests.unit.language.specs import BASE, HEAD
from tests.unit.reference import reference_text


def test_fields_have_their_names_before_pydantic_has_built_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 13's pydantic, 2.10, asks the generator of aliases only then."""
    monkeypatch.setattr(GatewaySpec.model_fields["source_nat"], "alias", None)
    assert fields_of(GatewaySpec).keys() == LANGUAGE.by_name.keys() | {"forwardsFrom", "staticFrom", "twiceNatFrom"}


class Zone(Model):
    """Networks under one name."""

    networks: Networks = Field(description="What belongs to it.")


class Shape(Model):
    """One rule of traffic shaping."""

    name: Name
    zone: Name


class Limits(Model):
    """Bounds of the whole gateway."""

    connections: int = Field(1000, ge=1, le=100000, description="At most so many.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host that is known by name."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    address: Annotated[SpecAddress, Field(description="Its address.")]
    on: Annotated[Maybe[UplinksOrAddresses], Field(description="Where it is found.")] = None


class WiderSpec(GatewaySpec):
    zones: dict[Name, Zone] = Field(default_factory=dict, description="Zones, by name.")
    shapes: tuple[Shape, ...] = Field((), strict=False, description="Shaping.")
    limits: Limits = Field(default_factory=Limits)
    hosts: dict[Name, Host] = Field(default_factory=dict, description="Hosts, by name.")
    hosts_from: Maybe[EntryFiles] = Field(None, description="Files with more hosts.")


class WiderGateway(Gateway):
    spec: WiderSpec = Field(default_factory=WiderSpec)


OWN = (
    Section("zones", Join.BY_NAME, "zone", "zones"),
    Section("shapes", Join.IN_ORDER, "shape", "shapes"),
    Section("limits", Join.ONCE),
    Section("hosts", Join.BY_NAME, "host", "hosts", bulk=Host, incremental=True),
)
WIDER = Language(WiderGateway, (*SECTIONS, *OWN))

ONE = """\
  zones:
    dmz: {networks: 10.1.0.0/16}
  shapes:
    - {name: bulk, zone: dmz}
  limits: {connections: 5}
  hosts: {a: {address: 10.1.0.1}}
  hostsFrom: [hosts.csv, hosts.jsonl]
"""
OTHER = """\
spec:
  shapes:
    - {name: voice, zone: lab}
  zones:
    lab: {networks: [10.2.0.0/16, 10.3.0.0/16]}
  hosts:
    z: {address: 10.1.0.9, on: [isp-a, isp-b]}
"""
TEXTS = {
    "a.yaml": BASE + ONE,
    "b.yaml": HEAD + OTHER,
    "hosts.csv": "name,address,on\nb,10.1.0.2,isp-a\n",
    "hosts.jsonl": '{"name": "c", "address": "10.1.0.3"}\n',
}


def load(texts: dict[str, str]) -> LoadedSpec:
    return load_texts(texts, language=WIDER)


def told(texts: dict[str, str]) -> list[str]:
    """Each problem as a user reads it, without what to do."""
    with pytest.raises(SpecError) as caught:
        load(texts)
    return [str(problem).partition("\n")[0] for problem in caught.value.problems]


# --------------------------------------------------------------------------- what serves it


def test_documents_and_files_are_joined_as_the_section_says() -> None:
    spec = load(TEXTS).spec
    assert isinstance(spec, WiderSpec)
    assert {name: len(zone.networks) for name, zone in spec.zones.items()} == {"dmz": 1, "lab": 2}
    assert [shape.name for shape in spec.shapes] == ["bulk", "voice"]
    assert spec.limits.connections == 5
    assert {name: str(host.address) for name, host in spec.hosts.items()} == {
        "a": "10.1.0.1",
        "b": "10.1.0.2",
        "c": "10.1.0.3",
        "z": "10.1.0.9",
    }
    assert list(spec.uplinks) == ["isp-a", "isp-b", "dsl"], "and the sections that there were"


def test_each_value_has_its_place() -> None:
    where = load(TEXTS).where
    assert str(where.find(("spec", "zones", "lab", "networks", 1))) == "b.yaml:8:35"
    assert str(where.find(("spec", "shapes", 1, "zone"))) == "b.yaml:6:27"
    assert str(where.find(("spec", "limits", "connections"))) == "a.yaml:17:25"
    assert str(where.find(("spec", "hosts", "b", "address"))) == "hosts.csv:2:3"


TWICE = {
    "by name": (
        "  zones: {dmz: {networks: 10.4.0.0/16}}\n",
        "c.yaml:5:11: spec.zones.dmz: zones 'dmz' is already defined at a.yaml:14:5",
    ),
    "in order": (
        "  shapes: [{name: bulk, zone: dmz}]\n",
        "c.yaml:5:19: spec.shapes[0].name: shapes 'bulk' is already defined at a.yaml:16:14",
    ),
    "once": (
        "  limits: {connections: 6}\n",
        "c.yaml:5:3: spec.limits: limits is already defined at a.yaml:17:3",
    ),
    "bulk, in a document": (
        "  hosts: {b: {address: 10.1.0.7}}\n",
        "c.yaml:5:11: spec.hosts.b: hosts 'b' is already defined at hosts.csv:2:1",
    ),
    "bulk, in a file": (
        "  hostsFrom: more.csv\n",
        "more.csv:2:1: spec.hosts.a: hosts 'a' is already defined at a.yaml:18:11",
    ),
}


@pytest.mark.parametrize("case", TWICE)
def test_what_two_documents_have_is_told_with_both_places(case: str) -> None:
    text, problem = TWICE[case]
    more = {"c.yaml": f"{HEAD}spec:\n{text}", "more.csv": "name,address\na,10.1.0.8\n"}
    assert told(TEXTS | more) == [problem]


def test_what_is_wrong_in_it_is_told_in_words_with_its_place() -> None:
    assert told({"a.yaml": BASE + "  zones: {dmz: {network: 10.1.0.0/16}}\n"}) == [
        "a.yaml:13:17: spec.zones.dmz.network: there is no field 'network'"
    ]
    assert told({"a.yaml": BASE + "  hostsFrom: h.csv\n", "h.csv": "name,address\na,10.1\n"}) == [
        "h.csv:2:3: spec.hosts.a.address: '10.1' is not an IPv4 or IPv6 address"
    ]


def test_a_new_section_is_counted() -> None:
    loaded = load(TEXTS)
    assert {name: loaded.counts[name] for name in ("zones", "shapes", "hosts")} == {
        "zones": 2,
        "shapes": 2,
        "hosts": 4,
    }
    assert "limits" not in loaded.counts
    assert loaded.counts_text == "1 interface, 3 uplinks, 2 zones, 2 shapes, 4 hosts"


def test_it_is_in_the_reference() -> None:
    page = reference_text(WIDER)
    for heading in ("spec.zones.NAME", "spec.shapes[]", "spec.limits", "spec.hosts.NAME"):
        assert f"\n## {heading}\n" in page
    assert "| `connections` | 1 to 100000 | `1000` | At most so many. |" in page
    assert "| `zones` | mapping of name to [spec.zones.NAME](#speczonesname) |  | Zones, by name. |" in page
    assert "zones" not in reference_text()


def test_it_is_in_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(schema(WIDER))
    document = {"apiVersion": "nvi-operator/v1", "kind": "Gateway", "metadata": {"name": "gw"}}
    right = {
        "zones": {"dmz": {"networks": "10.1.0.0/16"}},
        "hostsFrom": "h.csv",
        "hosts": {"a": {"address": "10.1.0.1"}},
    }
    assert validator.is_valid({**document, "spec": right})
    assert not validator.is_valid({**document, "spec": {"zones": {"dmz": {"network": "10.1.0.0/16"}}}})


# --------------------------------------------------------------------------- reading it again


def hosts(count: int, last: str = "10.9.9.9") -> str:
    return "".join(f"    h{n}: {{address: 10.1.{n // 256}.{n % 256}}}\n" for n in range(count)) + (
        f"    last: {{address: {last}}}\n"
    )


def test_a_long_run_of_its_entries_is_read_as_the_others_are() -> None:
    """Entries without the plain form are read by libyaml."""
    plain = BASE + "  hosts:\n" + hosts(400)
    flow = plain.replace("{address", "{'address'")
    assert load({"a.yaml": plain}).spec == load({"a.yaml": flow}).spec


IN_YAML = {"a.yaml": BASE + "  hosts:\n" + hosts(400)}


@pytest.mark.parametrize(("texts", "file"), [(IN_YAML, "a.yaml"), (TEXTS, "hosts.csv"), (TEXTS, "hosts.jsonl")])
def test_an_edit_of_a_few_entries_is_what_reading_everything_would_be(texts: dict[str, str], file: str) -> None:
    before = load(texts)
    edited = texts[file]
    for old, new in (("10.9.9.9", "10.9.9.8"), ("10.1.0.2,", "10.1.0.5,"), ("10.1.0.3", "10.1.0.6")):
        edited = edited.replace(old, new)
    found = reload(before, file, edited.encode())
    assert found is not None
    loaded, delta = found
    assert delta.section == "hosts"
    assert loaded.spec == load({**texts, file: edited}).spec
    assert loaded.spec != before.spec


def test_an_edit_of_another_section_keeps_it(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "f.csv").write_text("name,ports,to\nweb,443/tcp,192.168.1.1\n")
    (tmp_path / "c.yaml").write_text(HEAD + "spec: {forwardsFrom: f.csv}\n")
    before = load_directory(tmp_path, language=WIDER)
    found = reload(before, str(tmp_path / "f.csv"), b"name,ports,to\nweb,443/tcp,192.168.1.2\n")
    assert found is not None
    assert isinstance(found[0].spec, WiderSpec)
    assert found[0].spec.zones == before.spec.zones  # type: ignore[attr-defined]
    assert str(found[0].spec.forwards["web"].to[0]) == "192.168.1.2"


def test_an_edit_of_a_section_that_is_not_incremental_reads_everything() -> None:
    careful = Language(WiderGateway, (*SECTIONS, *OWN[:-1], replace(OWN[-1], incremental=False)))
    before = load_texts(TEXTS, language=careful)
    assert reload(before, "hosts.csv", TEXTS["hosts.csv"].replace("10.1.0.2", "10.1.0.5").encode()) is None


# --------------------------------------------------------------------------- what cannot be forgotten


WRONG = {
    "a field without a section": (OWN[:-1], "field 'hosts' has no Section"),
    "a section without a field": ((*OWN, Section("vpns", Join.ONCE)), "section 'vpns' is not a field of WiderSpec"),
    "a section twice": ((*OWN, OWN[0]), "section 'zones' is declared twice"),
    "another join": (
        (replace(OWN[0], join=Join.IN_ORDER), *OWN[1:]),
        "section 'zones': its field joins BY_NAME, and not IN_ORDER",
    ),
    "no words for counts": (
        (replace(OWN[0], entry=""), *OWN[1:]),
        "section 'zones': name one",
    ),
    "another model": (
        (*OWN[:-1], replace(OWN[-1], bulk=Zone)),
        "section 'hosts': its entries are",
    ),
    "files that no field names": (
        (replace(OWN[0], bulk=Zone), *OWN[1:]),
        "section 'zonesFrom' is not a field",
    ),
    "a field for files of entries that are none": (
        (*OWN[:-1], replace(OWN[-1], bulk=None)),
        "field 'hostsFrom' has no Section",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_language_whose_fields_and_sections_differ_cannot_be_made(case: str) -> None:
    own, message = WRONG[case]
    with pytest.raises(TypeError, match=message):
        Language(WiderGateway, (*SECTIONS, *own))


def test_every_field_of_the_spec_has_its_section() -> None:
    assert Language(Gateway, SECTIONS) == LANGUAGE
    with pytest.raises(TypeError, match="has no Section"):
        Language(WiderGateway, SECTIONS)
