"""A network namespace as a fresh box has it, whatever the machine is set to.

IPv4 settings of a new namespace are copies of the machine's (net.core.devconf_inherit_init_net), and a machine with
containers forwards already.
"""

from __future__ import annotations

from nvi_operator.kernel.errors import kernel_errors

# The kernel's own defaults, but for IPv6 addresses, which are ready at once. ip_forward is first: writing it resets
# others.
FRESH = {
    "net/ipv4/ip_forward": "0",
    **{
        f"net/ipv4/conf/{where}/{name}": value
        for where in ("all", "default", "lo")
        for name, value in {
            "rp_filter": "0",
            "accept_local": "0",
            "arp_ignore": "0",
            "arp_announce": "0",
            "send_redirects": "1",
            "accept_redirects": "1",
        }.items()
    },
    "net/ipv6/conf/all/forwarding": "0",
    **{
        f"net/ipv6/conf/{where}/{name}": "0"
        for where in ("all", "default")
        for name in ("accept_dad", "router_solicitations")
    },
}
# For a namespace whose interfaces only carry what is written to them: its kernel sends nothing.
SILENT = {f"net/ipv6/conf/{where}/disable_ipv6": "1" for where in ("all", "default")}


def write_fresh(*, silent: bool = False) -> None:
    """Set FRESH, and with `silent` SILENT, in the network namespace of the calling thread. Raises KernelError."""
    for name, value in (FRESH | SILENT if silent else FRESH).items():
        with kernel_errors(f"sysctl {name}: writing"), open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
            file.write(value)
