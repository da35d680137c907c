"""Laws: a host's document over its site's means what both mean written out as one; and so do variables."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nvi_operator.errors import SpecError, SpecProblem
from nvi_operator.language.load.loader import load_texts

_SITE: dict[str, Any] = {
    "interfaces": {"lan": {"networks": ["10.0.0.0/8"]}},
    "uplinks": {
        "isp-a": {"interface": "wan0", "addresses": ["203.0.113.2"], "nextHop": "203.0.113.1", "default": True},
        "isp-b": {"interface": "wan1", "weight": 2},
    },
    "forwards": {
        "web": {"at": "isp-a", "ports": "443/tcp", "to": {"10.0.0.1": 1, "10.0.0.2": 2}},
        "dns": {"at": "isp-a", "ports": ["53/udp"], "to": "10.0.0.53", "hairpin": False},
    },
    "sourceNat": [{"name": "one", "from": "10.1.0.0/16", "as": "isp-b"}, {"name": "two", "as": "isp-a"}],
    "failback": "move",
    "dataplane": {"hideHop": True, "stageBit": 29},
}

uplink = st.fixed_dictionaries(
    {},
    optional={
        "interface": st.sampled_from(["wan2", None]),
        "weight": st.sampled_from([3, None]),
        "nextHop": st.just("203.0.113.9"),
        "default": st.none() | st.booleans(),
    },
)
forward = st.fixed_dictionaries(
    {},
    optional={
        "to": st.sampled_from(["10.0.0.9", {"10.0.0.1": None}, {"10.0.0.3": 3}, None]),
        "ports": st.just(["8443/tcp"]),
        "hairpin": st.none() | st.booleans(),
    },
)
rule = st.fixed_dictionaries(
    {"name": st.sampled_from(["one", "two", "new"])},
    optional={"as": st.sampled_from(["isp-a", "unchanged"]), "from": st.sampled_from(["10.2.0.0/16", None])},
)
overlays = st.fixed_dictionaries(
    {},
    optional={
        "uplinks": st.dictionaries(st.sampled_from(["isp-a", "isp-b", "lte"]), uplink | st.none(), max_size=2),
        "forwards": st.dictionaries(st.sampled_from(["web", "dns", "new"]), forward | st.none(), max_size=2),
        "sourceNat": st.lists(rule, max_size=2, unique_by=lambda entry: entry["name"]),
        "failback": st.sampled_from(["keep", None]),
        "dataplane": st.sampled_from([{"stageBit": None}, {"stageBit": 28}, None]),
        "strandedFlows": st.just("keep"),
    },
)


def document(kind: str, name: str, spec: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "nvi-operator/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


class NothingToRemoveError(Exception):
    pass


def merged(site: Any, host: Any) -> Any:
    """RFC 7396, but that a null has to have something to remove."""
    if not isinstance(site, dict) or not isinstance(host, dict):
        return host
    result = dict(site)
    for key, value in host.items():
        if value is None and key not in result:
            raise NothingToRemoveError
        if value is None:
            del result[key]
        else:
            result[key] = merged(result[key], value) if key in result else value
    return result


def written_out(site: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    rest = {section: value for section, value in host.items() if section != "sourceNat"}
    result: dict[str, Any] = merged(deepcopy(site), rest)
    rules = {entry["name"]: entry for entry in site["sourceNat"]}
    own = host.get("sourceNat", [])
    known = [merged(entry, next((o for o in own if o["name"] == name), {})) for name, entry in rules.items()]
    new = [entry for entry in own if entry["name"] not in rules]
    return {**result, "sourceNat": [*new, *known]}


def meaning(texts: dict[str, str]) -> object:
    try:
        return load_texts(texts, hostname="edge").spec.model_copy(update={"vars": {}})
    except SpecError:
        return None


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [leaf for key, item in items for leaf in _leaves(item, (*path, key))]


places = st.lists(st.sampled_from(_leaves(_SITE)), max_size=4, unique=True)


def with_variables(site: dict[str, Any], paths: list[tuple[Any, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same spec with variables for what is at these paths, and those."""
    spec = deepcopy(site)
    variables: dict[str, Any] = {}
    for number, path in enumerate(sorted(paths, key=len, reverse=True)):
        node: Any = spec
        for step in path[:-1]:
            node = node[step]
        if "${" in json.dumps(node[path[-1]]):
            continue  # it holds a variable already
        variables[f"v{number}"] = node[path[-1]]
        node[path[-1]] = f"${{v{number}}}"
    return spec, variables


@given(overlays, places, st.booleans())
def test_a_host_over_its_site_means_what_both_mean_written_out(
    host: dict[str, Any], paths: list[tuple[Any, ...]], of_host: bool
) -> None:
    """Wherever there are variables, and whoever sets them."""
    site, variables = with_variables(_SITE, paths)
    texts = {
        "site.yaml": document("Gateway", "gw", site if of_host else {**site, "vars": variables}),
        "hosts/edge.yaml": document("Host", "edge", {**host, "vars": variables} if of_host else host),
    }
    try:
        whole = written_out(_SITE, host)
    except NothingToRemoveError:
        assert meaning(texts) is None
        return
    assert meaning(texts) == meaning({"site.yaml": document("Gateway", "gw", whole)})


@given(overlays)
def test_a_host_changes_entries_of_files_as_those_of_the_yaml(host: dict[str, Any]) -> None:
    over = {"hosts/edge.yaml": document("Host", "edge", host)}
    rest = {section: value for section, value in _SITE.items() if section != "forwards"}
    rows = "".join(json.dumps({"name": name, **entry}) + "\n" for name, entry in _SITE["forwards"].items())
    site = document("Gateway", "gw", {**rest, "forwardsFrom": "f.jsonl"})
    assert meaning({"site.yaml": site, "f.jsonl": rows, **over}) == meaning(
        {"site.yaml": document("Gateway", "gw", _SITE), **over}
    )


@given(places)
def test_any_value_of_a_spec_may_be_a_variable(paths: list[tuple[Any, ...]]) -> None:
    spec, variables = with_variables(_SITE, paths)
    texts = {"site.yaml": document("Gateway", "gw", {**spec, "vars": variables})}
    assert meaning(texts) == meaning({"site.yaml": document("Gateway", "gw", _SITE)}) is not None


_words = st.sampled_from(
    [*_SITE, "vars", "addressSets", "host", "web", "isp-a", "name", "one", "${v}", "$${", "${", "to"]
)
_any = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.floats(0, 9) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_words, _any, max_size=3) | _any, st.dictionaries(_words, _any, max_size=3))
def test_whatever_a_host_says_is_taken_or_refused_with_places(host: Any, site: dict[str, Any]) -> None:
    texts = {"site.yaml": document("Gateway", "gw", {**_SITE, **site}), "h.yaml": document("Host", "edge", host)}
    problems: tuple[SpecProblem, ...] = ()
    try:
        load_texts(texts, hostname="edge")
    except SpecError as error:
        problems = error.problems
        assert problems
    assert all(problem.position.file in texts for problem in problems)
