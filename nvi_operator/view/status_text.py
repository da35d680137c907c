"""The state of a gateway on one screen. Light: it shows data (view/status.py) and knows nothing of a gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nvi_operator.events.moment import ago
from nvi_operator.language.wording import counted
from nvi_operator.view import flow_cache
from nvi_operator.view.counters import MEANINGS, is_of_rule
from nvi_operator.view.segment import Piece, Segment, line
from nvi_operator.view.table import TextTable, labelled

if TYPE_CHECKING:
    from nvi_operator.view.status import ServerStatus, StatusData, UplinkStatus

NO_RATES: Mapping[str, float] = MappingProxyType({})

_SHOWN_FAULTS, _SHOWN_ON_SCREEN = 20, 5  # the JSON has them all
_SHOWN_RULES = 20


def status_text(
    data: StatusData,
    width: int | None,
    *,
    now: float | None = None,
    quiet: bool = False,
    rates: Mapping[str, float] = NO_RATES,
) -> Iterator[Piece]:
    """`now`: seconds since 1970. `quiet` leaves out notes, idle rules and most of many faults: a screen is small.
    `rates`: a second.
    """
    yield headline(data)
    most = _SHOWN_ON_SCREEN if quiet else _SHOWN_FAULTS
    for label, texts, style in _labels(data, now, quiet):
        for text in texts[:most]:
            yield from labelled(line(f"{label:<8}"), text, width, style)
        if (more := len(texts) - most) > 0:
            yield from labelled(line(f"{label:<8}"), f"and {more} more (see -o json)", width, style)
    for table in _tables(data, now, quiet, rates):
        yield from table.drawn(width)
    idle = sum(not n and not is_of_rule(name) for values in data["counters"].values() for name, n in values.items())
    if idle and not quiet:
        yield line(f"{counted(idle, 'other counter')} at 0 (see -o json)")


def headline(data: StatusData) -> Piece:
    """Which gateway, at which revision, and whether it is in sync or why not."""
    at = f" at {data['revision']}" if data["revision"] else ""
    gateway = Segment(f"gateway {data['gateway']}{at}: " if data["gateway"] else "", "bold")
    differences, faults, daemon = data["differences"], data["degraded"], data["daemon"]
    style = "bold yellow"
    if not data["up"]:
        text = "not applied: no nvi device in this network namespace"
    elif differences is None:
        objects = counted(data["objects"], "object")
        text, style = f"{objects} of the gateway (`nvictl status DIR` compares them with the spec)", "bold"
    elif differences:
        text = f"{counted(differences, 'difference')} from the spec (see nvictl drift)"
    elif daemon and daemon["errors"]:
        text = f"degraded: {counted(len(daemon['errors']), 'error')}"
    elif faults:
        text = f"degraded: {counted(len(faults), 'fault')}"
    elif data["standby"]:
        text, style = "standby: as the spec says, and another gateway has the virtual addresses", "bold green"
    else:
        text, style = "in sync: as the spec says", "bold green"
    return (gateway, Segment(text, style))


def _labels(data: StatusData, now: float | None, quiet: bool) -> Iterator[tuple[str, Sequence[str], str]]:
    """Labels, their texts, and the style of these."""
    yield "fault", data["degraded"], "yellow"
    if daemon := data["daemon"]:
        yield "error", daemon["errors"], "red"
        yield "paused", [f"{name}: for another {ago(left)}" for name, left in daemon["paused"].items()], "yellow"
        if source := daemon.get("source"):
            asked = f", asked {_age(source['fetched'], now)} ago" if source["fetched"] else ""
            signed = f", signed by {source['signer']}" if source["signer"] else ""
            commit = f": {source['commit'][:7]} by {source['author']}{signed}" if source["commit"] else ""
            yield "source", [f"{source['ref']} of {source['remote']}{asked}{commit}"], ""
        age = _age(daemon["since"], now)
        yield "daemon", [f"nvictl run {daemon['spec']} (pid {daemon['pid']}), for {age}"], ""
    if (away := data["suspended"]) is not None:
        until = f" until {away['until']}" if away["until"] else ""
        yield "suspend", [f"by {away['author']}{until}: {away['reason']}"], "yellow"
    if (waits := data["unconfirmed"]) is not None:
        proof = f"its proof ({waits['missing']}) or " if waits["by"] == "proof" else ""
        text = f"revision {waits['revision']}: {waits['secondsLeft']:.0f} s left for {proof}nvictl confirm"
        yield "confirm", [text], "yellow"
    if (gone := data["givenUp"]) is not None:
        what = f"revision {gone['revision']} was given up: " if gone["revision"] else ""
        yield "kept", [f"revision {gone['inForce']}: {what}{gone['why']}"], "yellow"
    yield "device", data["devices"], ""
    if cache := data["flowCache"]:
        yield "cache", [flow_cache.summary(cache)], ""
    yield "ignored", data["ignored"], ""
    if not quiet:
        yield "note", data["notes"], ""


def _tables(data: StatusData, now: float | None, quiet: bool, rates: Mapping[str, float]) -> Iterator[TextTable]:
    if data["uplinks"]:
        yield _uplinks(data["uplinks"], now)
    if data["servers"]:
        yield _servers(data["servers"], now)
    yield from _rules(data, quiet)
    if data["events"]:
        yield _events(data["events"], now)
    for group, values in data["counters"].items():
        if shown := {name: n for name, n in values.items() if n and not is_of_rule(name)}:
            yield _counters(group, shown, rates)


def uplink_words(data: StatusData) -> Iterator[str]:
    """`isp-a up`, `isp-b down: no next hop`"""
    yield from (f"{uplink['name']} {_state(uplink)}" for uplink in data["uplinks"])


def rates(before: StatusData, after: StatusData, seconds: float) -> dict[str, float]:
    """The rates by counter, a second. What was made again meanwhile counts from 0."""
    old = {(group, name): n for group, values in before["counters"].items() for name, n in values.items()}
    return {
        name: max(0, n - old.get((group, name), n)) / seconds
        for group, values in after["counters"].items()
        for name, n in values.items()
    }


def _age(since: str, now: float | None) -> str:
    began = datetime.fromisoformat(since).timestamp()
    return ago(max(0.0, (time.time() if now is None else now) - began))


def _uplinks(uplinks: Sequence[UplinkStatus], now: float | None) -> TextTable:
    with_time = any(uplink["since"] for uplink in uplinks)
    taken = any(uplink["defaultNow"] for uplink in uplinks)
    since = ("for",) if with_time else ()
    table = TextTable("uplinks", ("name", "interface", "state", *since, "next hop", "address"))
    for uplink in uplinks:
        began = uplink["since"]
        table.rows.append(
            (
                uplink["name"] + (" (default)" if uplink["defaultNow" if taken else "default"] else ""),
                uplink["interface"],
                _state(uplink),
                *((_age(began, now) if began else "",) if with_time else ()),
                ", ".join(uplink["nextHops"]) or ("point-to-point" if uplink["pointToPoint"] else "none"),
                ", ".join(uplink["translateTo"]) or "none",
            )
        )
    return table


def _servers(servers: Sequence[ServerStatus], now: float | None) -> TextTable:
    """The servers, those that are down first."""
    table = TextTable("servers", ("forward", "server", "state", "for"))
    ordered = sorted(servers, key=lambda server: server["state"] != "down")
    for server in ordered[:_SHOWN_RULES]:
        state, began = server["state"], server["since"]
        if state == "down":
            state = f"down: {server['reason']}{'; stays: none works' if server['takesFlows'] else ''}"
        table.rows.append((server["forward"], server["server"], state, _age(began, now) if began else ""))
    if (more := len(servers) - _SHOWN_RULES) > 0:
        table.rows.append(("", f"and {more} more (see -o json)", "", ""))
    return table


def _state(uplink: UplinkStatus) -> str:
    """That of the interface, and where that is up, of the probes."""
    if uplink["state"] != "up" or uplink["health"] == "up":
        return uplink["state"]
    return f"down: {uplink['health']}"


def _rules(data: StatusData, quiet: bool) -> Iterator[TextTable]:
    rules = [rule for rule in data["rules"] if rule["flows"] or not quiet]
    if not rules:
        return
    table = TextTable("rules", ("section", "name", "new flows", "leave by"), right=frozenset({2}))
    busiest = sorted(rules, key=lambda rule: -rule["flows"])[:_SHOWN_RULES]
    for rule in rules if len(rules) <= _SHOWN_RULES else busiest:
        table.rows.append((rule["section"], rule["name"], str(rule["flows"]), ", ".join(rule["uplinks"])))
    if (more := len(rules) - _SHOWN_RULES) > 0:
        table.rows.append(("", f"and {more} more (see -o json)", "", ""))
    yield table


def _events(events: Sequence[Mapping[str, Any]], now: float | None) -> TextTable:
    """The events, with the day where it is another than today."""
    table = TextTable("last events", ("time", "event", "what"))
    today = datetime.fromtimestamp(time.time() if now is None else now).date()
    for event in events:
        moment = datetime.fromisoformat(event["time"]).astimezone()
        day = "" if moment.date() == today else f"{moment:%Y-%m-%d} "
        table.rows.append((f"{day}{moment:%H:%M:%S}", event["event"], event["summary"]))
    return table


def _counters(group: str, values: Mapping[str, int], rates: Mapping[str, float]) -> TextTable:
    a_second = ("/s",) if rates else ()
    table = TextTable(group, ("counter", "packets", *a_second, "meaning"), right=frozenset({1, 2} if rates else {1}))
    meanings = flow_cache.MEANINGS if group == flow_cache.GROUP else MEANINGS
    for name, value in sorted(values.items()):
        speed = (f"{rates[name]:,.0f}" if rates.get(name, 0) >= 0.5 else "",) if rates else ()
        table.rows.append((name, str(value), *speed, meanings.get(name, "")))
    return table
