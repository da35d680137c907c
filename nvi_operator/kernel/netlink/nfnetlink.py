"""A socket to nf_tables: generation, tables with their flags, elements of one set, and batches of elements.

Only for these; everything else of nftables is read and written by libnftables (`kernel/nft/client.py`).
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from nvi_operator.errors import ConcurrentChangeError
from nvi_operator.kernel.errors import kernel_errors
from nvi_operator.kernel.netlink.socket import ERROR, NETFILTER, Netlink
from nvi_operator.nft.wire import messages as m
from nvi_operator.nft.wire.attributes import attributes
from nvi_operator.nft.wire.counters import counter, get_counters
from nvi_operator.nft.wire.tables import (
    IngressChain,
    NftTableFact,
    chain_table,
    get_chains,
    get_contents,
    get_rules,
    get_sets,
    get_tables,
    ingress_chain,
    rule_identity,
    table_fact,
    verdict_map,
)
from nvi_operator.nft.wire.trace import base_chain, rule_place

_MOST_DUMPS = 20  # of a set that another process keeps changing


class ElementError(OSError):
    """The kernel refused a batch. `change` and `element` are what it blames, where it says so."""

    def __init__(self, code: int, reason: str, change: m.ElementChange | None, element: bytes | None) -> None:
        super().__init__(code, reason or os.strerror(code))
        self.change = change
        self.element = element


class Nfnetlink(Netlink):
    """nftables, for what libnftables is too slow for, or does not tell."""

    def __init__(self) -> None:
        super().__init__(NETFILTER)

    def generation(self) -> int:
        """Goes up by one with each change of any nftables table of the namespace; a few microseconds."""
        with kernel_errors("nfnetlink: generation"):
            reply = next(self.ask_with(m.get_generation))
        return int.from_bytes(dict(attributes(reply.body[4:]))[m.GENERATION_ID], "big")

    def tables(self) -> list[NftTableFact]:
        """Every table. libnftables 1.0.6 would read their contents as well, and prints flags in JSON as any bytes."""
        return [table_fact(body) for body in self._listed("tables", get_tables)]

    def ingress_chains(self) -> list[IngressChain]:
        """Chains that hang at devices; nft 1.0.6 leaves the devices out of its JSON."""
        return [chain for body in self._listed("chains", get_chains) if (chain := ingress_chain(body)) is not None]

    def fingerprint(self, *, without: tuple[str, str]) -> bytes:
        """A hash of chains and rules of all tables but one (family and name), and of the maps that lead to chains.

        It changes with any of these, and not with counters or elements of other sets. 10,000 rules take 0.15 s.
        """
        digest = hashlib.blake2b(digest_size=16)
        facts: list[NftTableFact] = []
        for body in self._listed("tables", get_tables):
            fact = table_fact(body)
            if (fact.family, fact.name) != without:
                facts.append(fact)
                digest.update(body[4:])
        if not facts:
            return digest.digest()
        for body in self._listed("chains", get_chains):
            if chain_table(body) != without:
                digest.update(body[4:])
        maps = [
            (chain_table(b), name) for b in self._listed("sets", get_sets) if (name := verdict_map(b)) is not None
        ]
        for fact in facts:
            for body in self._listed("rules", partial(get_rules, table=fact)):
                digest.update(rule_identity(body))
            for name in (name for table, name in maps if table == (fact.family, fact.name)):
                for body in self._listed("elements", partial(get_contents, table=fact, name=name)):
                    digest.update(body[4:])
        return digest.digest()

    def rule_handles(self, table: str) -> dict[str, list[int]]:
        """The handles of the rules of `inet TABLE` by chain, in their order."""
        found: dict[str, list[int]] = {}
        for body in self._listed("rules", partial(get_rules, table=NftTableFact("inet", table))):
            chain, handle = rule_place(body)
            found.setdefault(chain, []).append(handle)
        return found

    def hooks(self) -> dict[tuple[str, str, str], str]:
        """The hook of each base chain, by family, table and name."""
        return dict(found for body in self._listed("chains", get_chains) if (found := base_chain(body)) is not None)

    def counters(self, table: str) -> dict[str, int]:
        """Packets by the names of the counters of `inet TABLE`; empty where there is no such table."""
        return dict(counter(body) for body in self._listed("counters", partial(get_counters, table=table)))

    def _listed(self, what: str, request: Callable[[int], bytes]) -> list[bytes]:
        """The bodies of the messages of a dump, each from its struct nfgenmsg on."""
        with kernel_errors(f"nfnetlink: {what}"):
            return [reply.body for reply in self.ask_with(request)]

    def elements(self, table: str, name: str, split: Callable[[bytes], Iterable[bytes]]) -> frozenset[bytes]:
        """All elements of a set of `inet TABLE`; read again while they change. FileNotFoundError: no such set.

        `split` gets the payload of each NFTA_SET_ELEM_LIST_ELEMENTS attribute.
        """
        for _ in range(_MOST_DUMPS):
            found = self._dump(table, name, split)
            if found is not None:
                return found
        raise ConcurrentChangeError(f"nft set {name}: reading: it keeps changing meanwhile")

    def _dump(self, table: str, name: str, split: Callable[[bytes], Iterable[bytes]]) -> frozenset[bytes] | None:
        found: set[bytes] = set()
        generations: set[bytes] = set()
        for reply in self.ask_with(partial(m.get_elements, table, name)):
            generations.add(reply.body[2:4])  # its lower half; for elements the kernel sets no flag (6.18)
            for kind, payload in attributes(reply.body[4:]):
                if kind == m.ELEMENTS:
                    found.update(split(payload))
        return None if self.interrupted or len(generations) > 1 else frozenset(found)

    def send(
        self,
        table: str,
        changes: Sequence[m.ElementChange],
        *,
        generation: int | None = None,
        commit: bool = True,
    ) -> None:
        """One transaction; without `commit` it is only checked.

        Raises ElementError, and ConcurrentChangeError if the ruleset is not of that generation any more.
        """
        batch = m.element_batch(table, changes, first=self.sequence + 1, generation=generation, commit=commit)
        self.sequence = batch.last + 1
        self.write(batch.data)
        self._judge(batch)

    def _judge(self, batch: m.ElementBatch) -> None:
        """Nothing but the ack of the last message is success; of several errors the first is told."""
        done = not batch.parts
        try:
            for reply in self.replies(wait=False):
                if reply.kind != ERROR or reply.sequence < batch.first:
                    continue
                code = reply.code()
                if code == errno.ERESTART:
                    raise ConcurrentChangeError("nft table: apply: another process changed the ruleset meanwhile")
                if code:
                    reason, offset = reply.extended()
                    raise ElementError(code, reason, *batch.blamed(reply.sequence, offset))
                done = done or reply.sequence == batch.last
        except OSError as error:
            if error.errno == errno.ENOBUFS and not isinstance(error, ElementError):
                raise ElementError(errno.ENOBUFS, "more errors than the socket holds", None, None) from error
            raise
        finally:
            self.drain()
        if not done:
            raise ElementError(errno.EPROTO, "the kernel did not acknowledge", None, None)
