"""Acts upon a gateway: by nft, ip, tc and sysctl in a real kernel, and the same in the fake."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from nvi_operator.kernel.bpf.guard import GuardProgram
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kinds.ingress_guard import IngressGuard
from nvi_operator.kinds.route import Route
from nvi_operator.kinds.tc_program import TcProgram
from nvi_operator.language.model.settings import Numbers
from nvi_operator.nft.ast import Chain, ForeignObject, NamedSet, Rule, Table
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState, Object, Ref
from nvi_operator.testing import FakeKernel
from tests.lab import Host
from tests.netns.losses import detach

TABLE = Ref("nft-table", "inet nvi")
LINK = Ref("link", "nvi0")
PROGRAM = Ref("tc-program", "nvi0 egress")
GUARD = Ref("egress-guard", "wan0 egress")
INGRESS_GUARD = Ref("ingress-guard", "wan0 ingress")

T = TypeVar("T")
Real = Callable[[Host], None]
Fake = Callable[[FakeKernel], None]


# --------------------------------------------------------------------------- by hand, in a real kernel


def each(*acts: Callable[[T], None]) -> Callable[[T], None]:
    """One after the other."""

    def there(machine: T) -> None:
        for act in acts:
            act(machine)

    return there


def nft(*commands: str) -> Real:
    return lambda host: host.nft("".join(f"{command}\n" for command in commands))


def ip(*commands: str) -> Real:
    def there(host: Host) -> None:
        for command in commands:
            host.run("ip", *command.split())

    return there


def run(*argv: str) -> Real:
    def there(host: Host) -> None:
        host.run(*argv)

    return there


def sysctl(path: str, value: str) -> Real:
    return lambda host: host.write(path, value)


def on_rule(chain: str, command: str) -> Real:
    """`command` with the handle of the chain's last rule in place of {}."""

    def there(host: Host) -> None:
        listing = json.loads(host.run("nft", "-j", "list", "chain", "inet", "nvi", chain).stdout)["nftables"]
        handles = [entry["rule"]["handle"] for entry in listing if "rule" in entry]
        host.nft(command.format(f"inet nvi {chain} handle {handles[-1]}") + "\n")

    return there


def on_program(change: Callable[[TcProgram], TcProgram]) -> Real:
    """Another program, or another list of interfaces, in place of the owned one."""

    def there(host: Host) -> None:
        def work() -> None:
            with Kernel(Numbers()) as kernel:
                (program,) = kernel.observe(HostState()).of_kind("tc-program")
                assert isinstance(program, TcProgram)
                kernel.apply(Change(PROGRAM, Action.UPDATE, program, change(program)))

        host.call(work)

    return there


def without_guards(*guards: GuardProgram) -> Real:
    """The uplink `wan0`, by whatever mechanism they are there."""

    def there(host: Host) -> None:
        for guard in guards:
            host.call(detach, guard, "wan0")

    return there


def on_guard(change: Callable[[IngressGuard], IngressGuard]) -> Real:
    """Another list of addresses in place of the owned one."""

    def there(host: Host) -> None:
        def work() -> None:
            with Kernel(Numbers()) as kernel:
                guard = kernel.observe(HostState()).objects[INGRESS_GUARD]
                assert isinstance(guard, IngressGuard)
                kernel.apply(Change(INGRESS_GUARD, Action.UPDATE, guard, change(guard)))

        host.call(work)

    return there


# --------------------------------------------------------------------------- the same, in the fake


def lose(*refs: Ref) -> Fake:
    return lambda kernel: kernel.drop(refs)


def put(kind: str, obj: Object) -> Fake:
    def there(kernel: FakeKernel) -> None:
        kernel.objects[Ref(kind, obj.key)] = obj

    return there


def lose_link(kernel: FakeKernel) -> None:
    kernel.lose_link("nvi0")


def take_down(kernel: FakeKernel) -> None:
    kernel.objects[LINK] = replace(kernel.objects[LINK], up=False)  # type: ignore[type-var]
    kernel.drop([ref for ref, obj in kernel.state if isinstance(obj, Route) and obj.dev == "nvi0"])


def change_program(change: Callable[[TcProgram], TcProgram]) -> Fake:
    def there(kernel: FakeKernel) -> None:
        program = kernel.objects[PROGRAM]
        assert isinstance(program, TcProgram)
        kernel.objects[PROGRAM] = change(program)

    return there


def change_guard(change: Callable[[IngressGuard], IngressGuard]) -> Fake:
    def there(kernel: FakeKernel) -> None:
        guard = kernel.objects[INGRESS_GUARD]
        assert isinstance(guard, IngressGuard)
        kernel.objects[INGRESS_GUARD] = change(guard)

    return there


def table(change: Callable[[Table], Table]) -> Fake:
    def there(kernel: FakeKernel) -> None:
        before = kernel.objects[TABLE]
        assert isinstance(before, Table)
        kernel.objects[TABLE] = change(before)

    return there


def chains(change: Callable[[Chain], Chain | None]) -> Fake:
    def changed(before: Table) -> Table:
        return replace(before, chains=frozenset(c for old in before.chains if (c := change(old)) is not None))

    return table(changed)


def rules(chain: str, change: Callable[[tuple[Rule, ...]], Iterable[Rule]]) -> Fake:
    return chains(lambda c: replace(c, rules=tuple(change(c.rules))) if c.name == chain else c)


def elements(name: str, change: Callable[[NamedSet], NamedSet]) -> Fake:
    return table(lambda t: replace(t, sets=frozenset(change(s) if s.name == name else s for s in t.sets)))


def more_sets(named: NamedSet) -> Fake:
    return table(lambda t: replace(t, sets=t.sets | {named}))


def foreign(item: ForeignObject) -> Fake:
    return table(lambda t: replace(t, foreign=t.foreign | {item}))


def without_set(before: Table) -> Table:
    kept = frozenset(s for s in before.sets if s.name != "inside_4")
    return replace(before, sets=kept, chains=frozenset(replace(c, rules=()) for c in before.chains))
