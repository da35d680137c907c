"""A laboratory of network namespaces: hosts, links, traffic, and ISPs that count what should not reach them.

    with Lab() as lab:
        site = dual_wan(lab)
        gateway = GatewayHost(site.gateway)
        gateway.apply("examples/dual-wan")
        flow = site.client.connect(site.far.address, 443)
        assert flow.seen == "203.0.113.2"
        assert site.leaks() == 0

`net` makes hosts and links, `traffic` talks between them, `segments` and `topologies` have networks ready
made, `gateway` runs nvictl in one of the hosts, `leftovers` takes it all away again.
`python -m tests.lab` opens a shell in one. docs/lab.md has more.
"""

from tests.lab.gateway import GatewayHost
from tests.lab.isp import Isp, Leaks
from tests.lab.net import Host, Lab
from tests.lab.segments import add_lan, add_router
from tests.lab.topologies import Site, dual_wan, partner_link, tenants

__all__ = [
    "GatewayHost",
    "Host",
    "Isp",
    "Lab",
    "Leaks",
    "Site",
    "add_lan",
    "add_router",
    "dual_wan",
    "partner_link",
    "tenants",
]
