"""`nvictl show nat`: what real flows of a gateway show of rules, forwards, translations and pools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns


def test_flows_show_where_they_belong(site: Site, gateway: GatewayHost) -> None:
    directory = gateway.spec(spec())
    gateway.apply(directory)
    site.gateway.write("net/netfilter/nf_conntrack_acct", "1")

    def shown(what: str, *more: str) -> dict[str, Any]:
        found = json.loads(gateway.nvictl("show", "nat", what, *more, "-o", "json").stdout)
        assert isinstance(found, dict)
        return found

    assert shown("translations")["total"] == 0
    site.far.serve(443)
    site.server.serve(443)
    with site.client.connect(site.far.address, 443) as out, site.far.connect(A, 443):
        assert out.seen == A
        both = shown("translations")
        assert both["total"] == 2
        (leaving,) = (flow for flow in both["translations"] if flow["source"] == site.client.address)
        assert (leaving["protocol"], leaving["newSource"], leaving["newDestination"]) == ("tcp", A, site.far.address)
        # The kernel filters by either end, before and after translation.
        assert shown("translations", "--address", site.client.address)["total"] == 1
        assert shown("translations", "--address", A)["total"] == 2
        assert shown("translations", "--address", site.server.address)["total"] == 1
        assert shown("translations", "--address", "192.0.2.99")["total"] == 0
        assert shown("translations", "--mark", "0x5/0xff")["total"] == 0
        assert shown("translations", "--zone", "9")["total"] == 0
        one = shown("translations", "--top", "1")
        assert (one["total"], len(one["translations"])) == (2, 1)

        (pool,) = (p for p in shown("pools")["pools"] if p["address"] == A)
        assert (pool["protocol"], pool["flows"]) == ("tcp", 1)
        assert (pool["busiestDestination"], pool["busiestPort"]) == (site.far.address, 443)
        used = [f for f in shown("forwards", str(directory))["forwards"] if f["flows"]]
        assert [(f["public"], f["flows"]) for f in used] == [(f"{A} 443/tcp", 1)]
        assert used[0]["packets"] >= 4
        assert used[0]["bytes"] > 200
        rules = {rule["name"]: rule["flows"] for rule in shown("rules", str(directory))["rules"]}
        assert rules["everyone"] == 1
    assert "of its ports" in gateway.nvictl("show", "nat", "pools").stdout
