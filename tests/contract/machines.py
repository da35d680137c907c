"""Two kernels with one face: the fake, and a namespace of the real one. What holds for one holds for the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_interface
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.load.loader import load_texts
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.language.model.settings import Numbers
from nvi_operator.plan.change import Plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import AnyKernel, dry_run, reconcile
from nvi_operator.testing import FakeKernel
from nvi_operator.topology.facts import Facts, LinkFact
from tests.lab import GatewayHost, Host, Lab

T = TypeVar("T")
LINKS = {
    "lan0": ("192.168.1.1/24", "fd00:1::1/64"),
    "lan1": ("192.168.2.1/24",),
    "wan0": ("203.0.113.2/29", "2001:db8:a::2/64"),
    "wan1": ("198.51.100.2/29", "2001:db8:b::2/64"),
}


def spec_of(text: str) -> GatewaySpec:
    head = "apiVersion: nvi-operator/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n"
    return load_texts({"edge.yaml": head + text}).spec


@dataclass(frozen=True)
class Drift:
    """A change by another process, to the real kernel and to the fake, and the drift that it shows as."""

    name: str
    real: Callable[[Host], None]
    fake: Callable[[FakeKernel], None]
    shows: frozenset[tuple[str, str]]  # (class, kind)

    def __str__(self) -> str:
        return self.name


class Machine(Protocol):
    def run(self, work: Callable[[AnyKernel], T]) -> T:
        """Do something with the kernel, where the kernel is."""
        ...

    def disturb(self, drift: Drift) -> None: ...

    def owned(self) -> list[str]: ...

    def foreign(self) -> Any: ...


class FakeMachine:
    def __init__(self) -> None:
        links = {
            ifname: LinkFact(
                ifname, number, f"02:00:00:00:00:{number:02x}", addresses=tuple(map(ip_interface, addresses))
            )
            for number, (ifname, addresses) in enumerate(LINKS.items(), start=2)
        }
        self.kernel = FakeKernel(Facts("fake", MappingProxyType(links)))

    def run(self, work: Callable[[AnyKernel], T]) -> T:
        return work(self.kernel)

    def disturb(self, drift: Drift) -> None:
        drift.fake(self.kernel)

    def owned(self) -> list[str]:
        return [str(ref) for ref in self.kernel.objects]

    def foreign(self) -> Any:
        return self.kernel.facts_


class RealMachine:
    """Interfaces with a peer at the other end; foreign rules, routes, a table and settings."""

    def __init__(self, lab: Lab) -> None:
        with lab.at_once():
            self.host = lab.host("gw")
            other = lab.host("other")
            for ifname, addresses in LINKS.items():
                lab.link(self.host, ifname, other, ifname)
                self.host.ip(*(f"addr add {address} dev {ifname}" for address in addresses))
            self.host.ip(
                "route add default via 203.0.113.1",
                "rule add pref 20000 from 10.77.0.0/16 lookup 77",
                "route add 10.77.0.0/16 dev lan0 table 77",
                "link set wan1 group 5",
            )
        self.host.nft("table inet others {\nchain c {\ntype filter hook forward priority 0\ncounter\n}\n}\n")
        self.host.write("net/ipv4/conf/wan0/rp_filter", "1")

    def run(self, work: Callable[[AnyKernel], T]) -> T:
        def there() -> T:
            with Kernel(Numbers()) as kernel:
                return work(kernel)

        return self.host.call(there)

    def disturb(self, drift: Drift) -> None:
        drift.real(self.host)

    def owned(self) -> list[str]:
        return GatewayHost(self.host).owned()

    def foreign(self) -> Any:
        return GatewayHost(self.host).foreign()


def applied(machine: Machine, spec: GatewaySpec | None) -> Plan:
    """Reconcile once; the plan that was applied."""
    return machine.run(lambda kernel: reconcile(kernel, Compiler("edge", spec)).plan)


def seen(machine: Machine, spec: GatewaySpec | None) -> Plan:
    """The plan of a reconcile."""
    return machine.run(lambda kernel: dry_run(kernel, Compiler("edge", spec)))
