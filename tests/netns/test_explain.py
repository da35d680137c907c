"""`nvictl explain --live`: by what the kernel holds, with the flows that it knows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns


def test_live_tells_what_the_kernel_holds_and_a_spec_what_it_should(site: Site, gateway: GatewayHost) -> None:
    directory = gateway.spec(spec())
    gateway.apply(directory)

    def explained(*arguments: object) -> dict[str, Any]:
        done = gateway.nvictl("explain", *map(str, arguments), "--json")
        (way,) = json.loads(done.stdout)["ways"]
        assert isinstance(way, dict)
        return way

    site.far.serve(443)
    client, far = site.client.address, site.far.address
    with site.client.connect(far, 443) as flow:
        assert flow.seen == A
        (known,) = json.loads(gateway.nvictl("show", "nat", "translations", "-o", "json").stdout)["translations"]
        port = known["newSourcePort"]
        answer = explained("-i", "wan0", "tcp", f"{far}:443", "to", f"{A}:{port}", "flags", "ack", "--live")
        assert answer["steps"][0]["note"] == "established, reply direction"
        assert answer["leaves"]["destination"] == client
        assert answer["verdict"]["interface"] == "lan0"

    packet = ("-i", "lan0", "tcp", f"{client}:40000", "to", f"{far}:443")
    for by in (["--live"], ["--rev", "last"], ["--on", directory]):
        way = explained(*packet, *by)
        assert (way["verdict"]["interface"], way["leaves"]["source"]) == ("wan0", A)
        origins = {step["origin"]["place"] for step in way["steps"] if step["did"] == "translated"}
        assert all(str(place).rpartition("/")[2].startswith("gateway.yaml:") for place in origins)
    site.gateway.ip(f"route add 10.99.0.0/16 via {client}", "route add blackhole 10.98.0.0/16")
    behind = explained("-i", "lan0", "udp", f"{client}:4", "to", "10.99.0.1:4", "--live")
    assert (behind["verdict"]["interface"], behind["verdict"]["nextHop"]) == ("lan0", client)
    nowhere = explained("-i", "lan0", "udp", f"{client}:4", "to", "10.98.0.1:4", "--live")
    assert nowhere["verdict"]["text"] == "dropped: table 254"
    site.gateway.run(
        "nft",
        "add table inet firewall; add chain inet firewall forward "
        "{ type filter hook forward priority filter; policy drop; }",
    )
    site.gateway.run("nft", "add rule inet firewall forward iifname lan0 oifname nvi0 tcp dport 443 accept")
    dropped = explained(*packet, "--live")
    assert dropped["verdict"]["kind"] == "dropped"
    assert dropped["verdict"]["where"] == "inet firewall forward policy"
    assert dropped["steps"][-1]["stage"] == 2  # the rule that accepts it is of the first pass
    assert dropped["notCertain"] == []
    site.gateway.run("nft", "delete table inet firewall")
    assert site.gateway.run("ip", "rule", "del", "from", A, "priority", "1600").returncode == 0
    assert explained(*packet, "--live")["verdict"]["kind"] == "refused"
    assert explained(*packet, "--on", directory)["verdict"]["kind"] == "forwarded"
