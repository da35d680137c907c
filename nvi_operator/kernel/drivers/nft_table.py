"""The private nftables table: one transaction per change, as small as the difference."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from nvi_operator.kernel.nft import Nft
from nvi_operator.nft.listing import parse_table
from nvi_operator.nft.transaction import transaction
from nvi_operator.state.change import Change
from nvi_operator.state.host import HostState
from nvi_operator.state.nft import Table


class NftTableDriver:
    """The table is ours by its name, given at construction."""

    kind = "nft-table"

    def __init__(self, nft: Nft, name: str) -> None:
        self._nft = nft
        self._name = name

    def observe(self, desired: HostState) -> Iterator[Table]:
        table = parse_table(self._nft.list_table(self._name), self._name, _ifindex)
        if table is not None:
            yield table

    def counters(self) -> dict[str, int]:
        """The named counters of the table, in packets."""
        entries = (entry.get("counter") for entry in self._nft.list_table(self._name))
        return {counter["name"]: counter["packets"] for counter in entries if counter}

    def check(self, change: Change) -> None:
        self._nft.check(_text(change))

    def apply(self, change: Change) -> None:
        self._nft.apply(_text(change))


def _text(change: Change) -> str:
    before = change.before if isinstance(change.before, Table) else None
    after = change.after if isinstance(change.after, Table) else None
    return transaction(before, after)


def _ifindex(ifname: str) -> int | None:
    try:
        return socket.if_nametoindex(ifname)
    except OSError:
        return None
