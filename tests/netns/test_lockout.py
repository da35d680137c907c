"""An apply that takes away the ssh session with the gateway is refused, with the packet that would be lost."""

from __future__ import annotations

import pytest

from nvi_operator.kernel.inspect.sessions import ssh_sessions
from tests.lab import GatewayHost, Site
from tests.netns.scenarios import A, spec

pytestmark = pytest.mark.netns

TAKES = {
    "forward": "forwards: { all: { ports: 1-1023/tcp, to: 192.168.1.80 } }",
    "some clients": "forwards: { all: { ports: 22/tcp, from: 172.16.0.0/12, to: 192.168.1.80 } }",
}


def with_forwards(text: str) -> str:
    head, _, _ = spec().partition("  forwards:")
    return f"{head}  {text}\n"


def test_a_spec_that_takes_the_port_of_an_ssh_session_is_refused(site: Site, gateway: GatewayHost) -> None:
    gateway.apply(spec())
    site.gateway.serve(22, address=A)
    with site.far.connect(A, 22):
        (session,) = site.gateway.call(ssh_sessions)
        assert (session.local, session.port) == (A, 22)
        for name, text in TAKES.items():
            refused = gateway.nvictl("apply", gateway.spec(with_forwards(text)), check=False)
            assert f"lock-out: {session} would go to 192.168.1.80 by forward all" in refused.stderr, name
            assert not gateway.differences(spec())
        other = "forwards: { all: { ports: [22/udp, 23/tcp], to: 192.168.1.80 } }"
        gateway.nvictl("apply", gateway.spec(with_forwards(other)))
        gateway.nvictl("apply", gateway.spec(with_forwards(TAKES["forward"])), "--force")
