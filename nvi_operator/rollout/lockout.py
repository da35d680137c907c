"""What a change would lock out: ssh sessions with the gateway, its git remote, and addresses that a user protects."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nvi_operator.errors import KernelError, LockOutError
from nvi_operator.kernel.inspect.sessions import ssh_sessions
from nvi_operator.language.model.values import Address
from nvi_operator.plan.change import Plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.cycle import AnyKernel
from nvi_operator.topology.lockout import lost
from nvi_operator.topology.resolve import resolve

if TYPE_CHECKING:
    from nvi_operator.explain.own_route import Protected
    from nvi_operator.language.operator.git import GitUrl

PATIENCE = 3.0  # seconds for name servers: where none answers, the remote is not looked after
_HINT = "change the route, or the rule that takes the packet; --force continues all the same"


class LockOut:
    """`protect` and the git `remote` are those of the Operator document. `say` gets what could not be looked at."""

    def __init__(self, protect: Collection[Address], remote: GitUrl | None, say: Callable[[str], None]) -> None:
        self._protect = tuple(protect)
        self._remote = remote
        self._say = say
        self._resolved: tuple[Address, ...] = ()

    def refuse(self, kernel: AnyKernel, compiler: Compiler, plan: Plan, *, sessions: bool) -> None:
        """Raises LockOutError."""
        if packets := self.packets(kernel, compiler, plan, sessions=sessions):
            raise LockOutError(f"lock-out: {packets[0]}", hint=_HINT)

    def packets(self, kernel: AnyKernel, compiler: Compiler, plan: Plan, *, sessions: bool) -> list[str]:
        """The packets that would be lost, with what takes them. `sessions`: those of ssh as well."""
        spec = compiler.spec
        if spec is None or not plan:
            return []
        try:
            there = ssh_sessions() if sessions else []
            if (protected := self._protected(spec.protect or ())) or there:
                facts = kernel.facts(compiler.wires, compiler.flow_cache)
                topology = plan.topology or resolve(compiler.name, spec, facts)
                if found := [*lost(topology, there)]:
                    return found
                from nvi_operator.rollout.lost_ways import lost_ways

                return lost_ways(plan, topology, facts, spec.numbers.protocol, protected, there)
        except KernelError as error:
            self._say(f"{error.message}: what would be locked out is not known")
        return []

    def _protected(self, declared: Collection[Address]) -> list[Protected]:
        addresses = dict.fromkeys((*self._protect, *declared))
        if not addresses and self._remote is None:
            return []
        from nvi_operator.explain.own_route import Protected

        found = [Protected("which `protect` names", (address,)) for address in addresses]
        endpoint = _endpoint(self._remote) if self._remote is not None else None
        if endpoint is not None:
            host, port = endpoint
            self._resolved = self._resolved or _resolve(host)
            if self._resolved:
                found.append(Protected(f"the way to the git remote {host}", self._resolved, port))
            else:
                self._say(f"{host}: its address is not known: the way to the git remote is not looked after")
        return found


def _endpoint(remote: GitUrl) -> tuple[str, int] | None:
    """Where its packets go: to a proxy, where git uses one."""
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") if remote.transport == "https" else None
    if proxy:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        return (parts.hostname, parts.port or 1080) if parts.hostname else None
    return remote.endpoint


def _resolve(host: str) -> tuple[Address, ...]:
    """Empty where no name server answers in time."""
    found: list[Address] = []

    def ask() -> None:
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return
        found.extend(ip_address(str(address[0]).partition("%")[0]) for *_, address in told)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return tuple(dict.fromkeys(found))
