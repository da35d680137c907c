"""A namespace with the driver of the table in it, where other processes act at moments of a test's choice."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from nvi_operator.kernel.drivers.nft_table import NftTableDriver
from nvi_operator.kernel.netlink.events import KernelEvents
from nvi_operator.kernel.netns import entered
from nvi_operator.kernel.nft.client import Nft
from nvi_operator.nft.ast import (
    Chain,
    Element,
    Field,
    Hook,
    Lookup,
    Match,
    NamedSet,
    Nat,
    SetRef,
    Table,
    Verdict,
)
from nvi_operator.nft.wire.packed_elements import packed
from nvi_operator.plan.change import Action, Change
from nvi_operator.state.host import HostState, Ref

REF = Ref("nft-table", "inet nvi")
INSIDE = NamedSet("inside_4", ("ipv4_addr",), frozenset({(("10.0.0.0/8",), None)}), interval=True)
GUARD = Chain(
    "guard",
    Hook("filter", "postrouting", 300),
    ((Match(Field("ip saddr"), "==", SetRef("inside_4")), Verdict("drop")),),
)
DNAT = Chain("dstnat", Hook("nat", "prerouting", -110), ((Nat("dnat", 4, Lookup(Field("ip daddr"), SetRef("m"))),),))


def table(count: int, *, counters: Sequence[str] = (), size: int | None = 8192) -> Table:
    """So many addresses to translate, and the guard that all packets have to pass."""
    elements: frozenset[Element] = frozenset(((f"203.0.{n >> 8}.{n & 255}",), ("192.168.1.1",)) for n in range(count))
    named = packed(NamedSet("m", ("ipv4_addr",), elements, ("ipv4_addr",), size=size))
    return Table("nvi", frozenset(counters), frozenset({named, INSIDE}), frozenset({DNAT, GUARD}))


class Place:
    """A namespace with the operator's driver in it. `before_*` happen right before the kernel is told something."""

    def __init__(self, name: str, *, remember: bool = False, events: KernelEvents | None = None) -> None:
        self.name = name
        self.before_text: list[Callable[[], Any]] = []
        self.before_elements: list[Callable[[], Any]] = []
        self.listings = 0
        place = self

        class SlowNft(Nft):
            def apply(self, text: str) -> None:
                if place.before_text:
                    place.before_text.pop(0)()
                super().apply(text)

            def list_skeleton(self, name: str) -> list[dict[str, Any]]:
                place.listings += 1
                return super().list_skeleton(name)

        with entered(name):
            more: dict[str, Any] = {"reported": events.elements, "muted": events.without_nft} if events else {}
            self.driver = NftTableDriver("nvi", remember=remember, nft=SlowNft(), **more)
        self.wire = self.driver._wire
        send = self.wire.send

        def slow(*arguments: Any, **options: Any) -> None:
            if place.before_elements:
                place.before_elements.pop(0)()
            send(*arguments, **options)

        self.wire.send = slow  # type: ignore[method-assign]

    def nft(self, text: str) -> Callable[[], object]:
        """Another process's change, when it is called."""
        command = ["ip", "netns", "exec", self.name, "nft", text]
        return lambda: subprocess.run(command, check=True, capture_output=True)

    def look(self) -> Table | None:
        with entered(self.name):
            return next(iter(self.driver.observe(HostState())), None)

    def apply(self, after: Table | None, *, seen: Table | None = None) -> None:
        """From the table in the kernel, or from the one that the caller claims to have `seen`."""
        with entered(self.name):
            before = seen or self.look()
            self.driver.apply(Change(REF, Action.UPDATE, before, after))
