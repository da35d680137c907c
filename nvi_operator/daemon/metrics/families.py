"""What is measured, by the conventions of Prometheus. docs/how-to/monitoring.md has the table.

Made of the data of `nvictl status` and of events. The number of series has a bound: of 100,000 forwards the
MOST_RULES with the most flows have one each, and each section one for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from nvi_operator import __version__
from nvi_operator.errors import NviError
from nvi_operator.events.event import Applied, Healed
from nvi_operator.events.kinds import KINDS
from nvi_operator.events.record import EventLog, Record
from nvi_operator.view.counters import MEANINGS, is_of_rule
from nvi_operator.view.status import SourceStatus, StatusData

MOST_RULES = 50


class Metrics:
    """One daemon's. `look` raises NviError where the kernel cannot be read; then only what is known is told."""

    def __init__(self, look: Callable[[], StatusData], event_log: EventLog) -> None:
        self._look = look
        self._events: Counter[str] = Counter()
        self._last: dict[str, float] = {}
        self._seconds: dict[str, float] = {"applied": 0.0, "healed": 0.0}
        self._registry = CollectorRegistry()
        self._registry.register(cast(Any, self))  # a collector by its methods
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        event_log.listeners.append(self._count)

    def page(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return bytes(generate_latest(self._registry) + generate_latest(self._process))

    def text(self) -> bytes:
        """The metrics without `process_*`, of which node_exporter has its own: it refuses a name twice."""
        return bytes(generate_latest(self._registry))

    def describe(self) -> list[Metric]:
        """Nothing is looked at when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield _gauge("nvi_build_info", "The version of nvictl.", {"version": __version__})
        yield from self._of_events()
        try:
            data = self._look()
        except NviError:
            yield _gauge("nvi_kernel_readable", "Could the gateway be read from the kernel?", value=0)
            return
        yield _gauge("nvi_kernel_readable", "Could the gateway be read from the kernel?", value=1)
        yield from _of_gateway(data)
        yield from _of_uplinks(data)
        yield from _of_servers(data)
        yield from _of_rules(data)
        yield from _of_counters(data)

    def _count(self, record: Record) -> None:
        event = record.event
        self._events[event.kind] += 1
        self._last[event.kind] = record.time
        if isinstance(event, (Applied, Healed)):
            self._seconds[event.kind] += event.seconds

    def _of_events(self) -> Iterator[Metric]:
        events = CounterMetricFamily("nvi_events", "Events since the daemon started, by kind.", labels=["event"])
        last = GaugeMetricFamily(
            "nvi_last_event_timestamp_seconds", "When an event of this kind happened last.", labels=["event"]
        )
        for kind in KINDS:
            events.add_metric([kind], self._events[kind])
        for kind, moment in sorted(self._last.items()):
            last.add_metric([kind], moment)
        yield from (events, last)
        for kind, words in (("applied", "apply and verify a change"), ("healed", "heal drift")):
            name = f"nvi_{'apply' if kind == 'applied' else 'heal'}_duration_seconds"
            text = f"How long it took to {words}."
            yield SummaryMetricFamily(name, text, count_value=self._events[kind], sum_value=self._seconds[kind])


def _of_gateway(data: StatusData) -> Iterator[Metric]:
    daemon = data["daemon"]
    info = {"gateway": data["gateway"] or "", "revision": data["revision"] or ""}
    yield _gauge("nvi_gateway_info", "The gateway, and the git revision of the spec in force.", info)
    yield _gauge("nvi_applied", "Is the gateway's device there?", value=data["up"])
    yield _gauge("nvi_in_sync", "Does the kernel hold what the spec in force says?", value=bool(data["inSync"]))
    yield _gauge("nvi_differences", "Objects that differ from the spec in force.", value=data["differences"] or 0)
    text = "Objects that differ, and that the spec's drift policy ignores."
    yield _gauge("nvi_ignored_differences", text, value=len(data["ignored"]))
    yield _gauge("nvi_standby", "Has another gateway the virtual addresses?", value=data["standby"])
    yield _gauge("nvi_faults", "Parts of the spec that do not work now.", value=len(data["degraded"]))
    yield _gauge("nvi_objects", "Objects of the gateway in the kernel.", value=data["objects"])
    errors, paused = (len(daemon["errors"]), len(daemon["paused"])) if daemon else (0, 0)
    yield _gauge("nvi_errors", "Errors of the newest spec and of the last reconcile.", value=errors)
    yield _gauge("nvi_suspended", "Are changes suspended?", value=data["suspended"] is not None)
    yield _gauge(
        "nvi_unconfirmed", "Does a revision wait for its confirmation?", value=data["unconfirmed"] is not None
    )
    waits = data["unconfirmed"]
    text = "Seconds until a pending revision is given up; 0: none is."
    yield _gauge("nvi_unconfirmed_seconds", text, value=waits["secondsLeft"] if waits else 0)
    text = "Is a revision given up, and not tried again until it changes?"
    yield _gauge("nvi_given_up", text, value=data["givenUp"] is not None)
    yield _gauge("nvi_paused_objects", "Objects left alone, because another process changes them.", value=paused)
    if daemon and (source := daemon.get("source")):
        yield from _of_source(source)


def _of_source(source: SourceStatus) -> Iterator[Metric]:
    """A git source."""
    labels = {
        "remote": source["remote"],
        "ref": source["ref"],
        "commit": source["commit"] or "",
        "author": source["author"] or "",
        "signer": source["signer"] or "",
    }
    yield _gauge("nvi_source_info", "The commit that was accepted last, and where it comes from.", labels)
    yield _gauge(
        "nvi_source_failing", "Did the last fetch fail, or refuse what it found?", value=bool(source["error"])
    )
    if source["fetched"]:
        moment = datetime.fromisoformat(source["fetched"]).timestamp()
        yield _gauge("nvi_source_last_fetch_timestamp_seconds", "When the remote answered last.", value=moment)


def _of_uplinks(data: StatusData) -> Iterator[Metric]:
    labels = ["uplink", "interface"]
    up = GaugeMetricFamily("nvi_uplink_up", "Does the uplink take new flows?", labels=labels)
    since = GaugeMetricFamily(
        "nvi_uplink_state_since_timestamp_seconds", "When the uplink went up or down.", labels=labels
    )
    default = GaugeMetricFamily(
        "nvi_uplink_default", "Is it the default uplink now? Of several, the first that works.", labels=labels
    )
    for uplink in data["uplinks"]:
        values = [uplink["name"], uplink["interface"]]
        up.add_metric(values, uplink["health"] == "up")
        default.add_metric(values, uplink["defaultNow"])
        if uplink["since"]:
            since.add_metric(values, datetime.fromisoformat(uplink["since"]).timestamp())
    yield from (up, default, since)


def _of_servers(data: StatusData) -> Iterator[Metric]:
    """A spec has no more than MOST_SERVERS of them (`language/check/forwards.py`)."""
    labels = ["forward", "server"]
    up = GaugeMetricFamily("nvi_server_up", "Do the probes of a forward's server say that it works?", labels=labels)
    takes = GaugeMetricFamily("nvi_server_takes_flows", "Does the server take new flows?", labels=labels)
    for server in data["servers"]:
        values = [server["forward"], server["server"]]
        up.add_metric(values, server["state"] != "down")
        takes.add_metric(values, server["takesFlows"])
    yield from (up, takes)


def _of_rules(data: StatusData) -> Iterator[Metric]:
    flows = CounterMetricFamily(
        "nvi_rule_flows", f"New flows by rule, of the {MOST_RULES} busiest rules.", labels=["section", "rule"]
    )
    sums: Counter[str] = Counter({rule["section"]: 0 for rule in data["rules"]})
    for rule in data["rules"]:
        sums[rule["section"]] += rule["flows"]
    for rule in sorted(data["rules"], key=lambda rule: (-rule["flows"], rule["name"]))[:MOST_RULES]:
        flows.add_metric([rule["section"], rule["name"]], rule["flows"])
    totals = CounterMetricFamily("nvi_section_flows", "New flows by all rules of a section.", labels=["section"])
    for section, total in sorted(sums.items()):
        totals.add_metric([section], total)
    yield from (flows, totals)


def _of_counters(data: StatusData) -> Iterator[Metric]:
    labels = ["place", "reason"]
    dropped = CounterMetricFamily("nvi_dropped_packets", "Packets dropped, by place and reason.", labels=labels)
    passed = CounterMetricFamily("nvi_packets", "Packets that were not dropped.", labels=["place", "kind"])
    for place, values in data["counters"].items():
        for name, value in sorted(values.items()):
            if not is_of_rule(name):
                is_drop = MEANINGS.get(name, "").startswith("dropped")
                (dropped if is_drop else passed).add_metric([place, name], value)
    yield from (dropped, passed)


def _gauge(name: str, text: str, labels: Mapping[str, str] | None = None, *, value: Any = 1) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels or ()))
    family.add_metric(list((labels or {}).values()), float(value))
    return family
