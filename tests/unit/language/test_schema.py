"""The JSON Schema: valid, in step with the models, and of one mind with the loader about the forms of values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nvi_operator.errors import SpecError
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.load.yaml_reader import parse
from nvi_operator.language.schema import host_schema, operator_schema, schema, schema_text
from tests.unit.language.specs import BASE, HEAD

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))

HOSTS = sorted((ROOT / "examples").glob("*/hosts/*.yaml"))


def errors_in(text: str | bytes) -> list[str]:
    """What an editor would underline."""
    validator = jsonschema.Draft202012Validator(schema())
    return [
        f"{'.'.join(str(step) for step in error.absolute_path)}: {error.message}"
        for document in parse(text, "f")
        for error in validator.iter_errors(document.data)
    ]


def test_it_is_a_schema_of_its_draft() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["$id"].startswith("https://")
    assert schema()["title"]
    assert schema()["description"]


def test_the_files_are_in_step_with_the_models() -> None:
    schemas = {"gateway": schema(), "host": host_schema(), "operator": operator_schema()}
    texts = {kind: schema_text(found) for kind, found in schemas.items()}
    for kind, text in texts.items():
        assert (ROOT / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8") == text, "run `make schema`"


def test_it_is_the_same_each_time() -> None:
    assert schema_text() == schema_text()
    assert json.loads(schema_text()) == schema()


@pytest.mark.parametrize("file", EXAMPLES, ids=[f"{f.parent.name}/{f.name}" for f in EXAMPLES])
def test_it_takes_every_example(file: Path) -> None:
    assert errors_in(file.read_bytes()) == []
    relative = "../../schemas/gateway.schema.json"
    assert file.read_text(encoding="utf-8").startswith(f"# yaml-language-server: $schema={relative}\n")


@pytest.mark.parametrize("file", HOSTS, ids=[file.stem for file in HOSTS])
def test_the_schema_of_hosts_takes_those_of_examples(file: Path) -> None:
    (document,) = parse(file.read_bytes(), file.name)
    assert not list(jsonschema.Draft202012Validator(host_schema()).iter_errors(document.data))
    assert file.read_text().startswith("# yaml-language-server: $schema=../../../schemas/host.schema.json\n")


SHORT_FORMS = {
    "host, one": "  host: gw1",
    "host, several": "  host: [gw1, gw2.example.net]",
    "as, an uplink": "  sourceNat: [{name: a, as: isp-a}]",
    "as, uplinks": "  sourceNat: [{name: a, as: [isp-a, isp-b]}]",
    "as, an address": "  sourceNat: [{name: a, as: 203.0.113.17}]",
    "as, a range": "  sourceNat: [{name: a, as: 203.0.113.17-203.0.113.20}]",
    "as, unchanged": "  sourceNat: [{name: a, as: unchanged}]",
    "as, in full": "  sourceNat: [{name: a, as: {pool: 203.0.113.16/28, persistent: true}}]",
    "as, weights": "  sourceNat: [{name: a, as: {uplinks: {isp-a: 3, isp-b: 1}}}]",
    "from, one": "  sourceNat: [{name: a, from: 192.168.1.0/24, as: isp-a}]",
    "from, several": "  sourceNat: [{name: a, from: [192.168.1.0/24], as: isp-a}]",
    "in, one": "  sourceNat: [{name: a, in: lan0, as: isp-a}]",
    "ports, one": "  sourceNat: [{name: a, ports: 443/tcp, as: isp-a}]",
    "to, one": "  forwards: {web: {ports: 443/tcp, to: 192.168.1.80}}",
    "to, several": "  forwards: {web: {ports: 443/tcp, to: [192.168.1.80, 'fd00:1::80']}}",
    "to, weights": "  forwards: {web: {at: isp-b, ports: 443/tcp, to: {192.168.1.80: 2, 192.168.1.81: 1}}}",
    "at, an uplink": "  forwards: {web: {at: isp-b, to: 192.168.1.80}}",
    "at, several": "  forwards: {web: {at: [isp-b, 203.0.113.17], to: 192.168.1.80}}",
    "a port as a number": "  sourceNat: [{name: a, as: {pool: 203.0.113.17, ports: 1024}}]",
}


@pytest.mark.parametrize("text", SHORT_FORMS.values(), ids=SHORT_FORMS)
def test_it_takes_the_short_forms_as_the_loader_does(text: str) -> None:
    whole = BASE + text + "\n"
    load_texts({"f": whole})
    assert errors_in(whole) == []


REFUSED = {
    "no apiVersion": "kind: Gateway\nmetadata: {name: a}\n",
    "another kind": HEAD.replace("Gateway", "Router"),
    "unknown section": BASE + "  forward: {}\n",
    "unknown field": BASE + "  forwards: {web: {too: 192.168.1.80}}\n",
    "snake case": BASE + "  source_nat: []\n",
    "no name for an uplink": BASE.replace("dsl:", "DSL:"),
    "no name for a forward": BASE + "  forwards: {'a;b': {to: 192.168.1.80}}\n",
    "interface name too long": BASE.replace("lan0:", "an-interface-name-of-its-own:"),
    "no servers": BASE + "  forwards: {web: {at: isp-b, to: {}}}\n",
    "empty list": BASE + "  forwards: {web: {at: [], to: 192.168.1.80}}\n",
    "weight 0": BASE + "  forwards: {web: {at: isp-b, to: {192.168.1.80: 0}}}\n",
    "a boolean of YAML 1.1": BASE.replace("nextHop: auto", "default: yes"),
    "number for a hostname": BASE + "  host: 22\n",
    "no such protocol": BASE + "  forwards: {web: {ports: 443/icmp, to: 192.168.1.80}}\n",
    "number out of range": BASE + "  dataplane: {stageBit: 5}\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_it_refuses_what_the_loader_refuses(text: str) -> None:
    assert errors_in(text)
    with pytest.raises(SpecError):
        load_texts({"f": text})


def test_every_mapping_is_closed() -> None:
    """An editor can only find a misspelt field where no other fields are allowed."""

    def open_mappings(node: Any, path: str) -> list[str]:
        if isinstance(node, list):
            return [found for n, item in enumerate(node) for found in open_mappings(item, f"{path}/{n}")]
        if not isinstance(node, dict):
            return []
        here = [path] if node.get("type") == "object" and "additionalProperties" not in node else []
        return here + [found for key, item in node.items() for found in open_mappings(item, f"{path}/{key}")]

    assert open_mappings(schema(), "") == []
