"""libnftables, for our table only: other people's tables never pass through it (some crash it)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nvi_operator.errors import CapabilityError, KernelError

_ABSENT = "No such file or directory"


class Nft:
    """One libnftables context, bound to the network namespace in which it was made. Not thread-safe."""

    def __init__(self) -> None:
        try:
            import nftables
        except ImportError as error:
            raise CapabilityError(
                "nftables: the Python bindings are wanted: they cannot be imported",
                hint="apt-get install python3-nftables, and use the system's Python (or a virtual "
                "environment made from it with --system-site-packages)",
            ) from error
        self._new: Callable[[], Any] = nftables.Nftables
        self._context = self._new()
        self._context.set_json_output(True)
        self._context.set_terse_output(True)

    def list_skeleton(self, name: str) -> list[dict[str, Any]]:
        """The JSON objects of table `inet name`, sets without elements; empty if there is none.

        KernelError otherwise. Before nft 1.1.0 a terse `list table` fetches all elements all the same (bug
        1735 of netfilter.org); beside a `list ruleset` it does not. That is of a family without tables of ours,
        and no other table is fetched for it, because `list table` narrows both.
        """
        code, output, error = self._context.cmd(f"list ruleset arp; list table inet {name}")
        if code == 0:
            objects: list[dict[str, Any]] = json.loads(output.splitlines()[-1])["nftables"]
            return objects
        if _ABSENT in error:
            return []
        raise self._failed("listing", error)

    def check(self, text: str) -> None:
        """What `nft -c` says, without changing anything.

        In a context of its own: a dry run leaves its elements in the cache of libnftables (1.0.6), and
        the apply after it would find that they overlap with themselves.
        """
        context = self._new()
        context.set_dry_run(True)
        self._run(context, text, "check")

    def apply(self, text: str) -> None:
        """One transaction: all of it or nothing."""
        self._run(self._context, text, "apply")

    def _run(self, context: Any, text: str, what: str) -> None:
        code, _, error = context.cmd(text)
        if code:
            raise self._failed(what, error)

    @staticmethod
    def _failed(what: str, error: str) -> KernelError | CapabilityError:
        message = f"nft table: {what}: {error.strip()}"
        if "Operation not permitted" in error:
            return CapabilityError(message, hint="run as root, or with CAP_NET_ADMIN in this network namespace")
        return KernelError(message)
