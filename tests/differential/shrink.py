"""A smaller case that still shows a disagreement: entries, fields and lines are left out as long as it does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.differential.case import Case, Sent, Talk

MOST = 150  # attempts, each with an apply


def shrink(case: Case, shows: Callable[[Case], bool], most: int = MOST) -> Case:
    """The smallest that was found in so many attempts."""
    left = most
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(case):
            if not left:
                return case
            left -= 1
            if shows(candidate):
                case, smaller = candidate, True
                break
    return case


def _candidates(case: Case) -> Iterator[Case]:
    """Each with one thing less, the largest first."""
    for spec in _without_one(dict(case.spec)):
        yield replace(case, spec=spec)
    yield from _hosts(case)
    for number, talk in enumerate(case.talks):
        for plainer in _talks(talk):
            yield replace(case, talks=(*case.talks[:number], plainer, *case.talks[number + 1 :]))


def _without_one(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The spec without a section, an entry, a field of an entry, an item of a list."""
    for path in sorted(_paths(spec), key=len):
        smaller = copy.deepcopy(spec)
        place: Any = smaller
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        yield smaller


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (key,)
        for below in _paths(value[key]):
            yield (key, *below)


def _hosts(case: Case) -> Iterator[Case]:
    host = case.host
    empty: dict[str, Any] = {"nft": "", "down": (), "health": {}, "mtu": {}}
    for field, nothing in empty.items():
        if getattr(host, field):
            yield replace(case, host=replace(host, **{field: nothing}))
    for number in range(len(host.ip)):
        yield replace(case, host=replace(host, ip=(*host.ip[:number], *host.ip[number + 1 :])))
    for ifname in host.links:
        yield replace(case, host=replace(host, links={k: v for k, v in host.links.items() if k != ifname}))
        for number in range(len(host.links[ifname])):
            some = (*host.links[ifname][:number], *host.links[ifname][number + 1 :])
            yield replace(case, host=replace(host, links={**host.links, ifname: some}))


def _talks(talk: Talk) -> Iterator[Talk]:
    if talk.then:
        yield replace(talk, then=talk.then[:-1])
    sent, packet = talk.send, talk.send.packet
    plain: dict[str, Any] = {"ttl": 64, "dscp": 0, "size": 0, "keep_whole": False}
    for name, value in plain.items():
        if getattr(packet, name) != value:
            yield replace(talk, send=replace(sent, packet=replace(packet, **{name: value})))
    if sent.mark or sent.bound:
        yield replace(talk, send=Sent(sent.interface, packet))
