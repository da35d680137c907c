"""The way of a probe: sockets that are bound to one uplink or inside interface, so that no other one carries the
question or the answer.

SO_BINDTODEVICE limits the routes that a packet may take to those by the interface, and what is received to what came
in by it. The source address selects the uplink's own table (the FIB rule `from TRANSLATED`), which matters where
uplinks share an interface, and where `main` has no route by this one. A server is asked by the interface that it is
behind, which tells tenants with equal addresses apart.
"""

from __future__ import annotations

import socket

from nvi_operator.dataclass import dataclass

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True)
class ProbePath:
    """How one uplink is left, or a server reached, in one family. `source` None: the kernel chooses one of the
    interface. `ifname` None: the kernel chooses the interface as well.
    """

    ifname: str | None
    ifindex: int  # a socket is bound to it, and not to the name
    source: str | None

    def socket(self, version: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that does not block. Raises OSError."""
        made = socket.socket(_FAMILIES[version], kind | socket.SOCK_NONBLOCK, protocol)
        try:
            if self.ifname is not None:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.ifname.encode())
            if self.source is not None:
                made.bind((self.source, 0))
        except OSError:
            made.close()
            raise
        return made
