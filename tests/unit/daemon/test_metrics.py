"""Metrics: what is measured, how many series at most, how they get out. Alerts and dashboard use what exists."""

from __future__ import annotations

import argparse
import json
import re
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nvi_operator.cli.options import metrics as metrics_option
from nvi_operator.daemon.control.streams import Streams
from nvi_operator.daemon.metrics.families import MOST_RULES, Metrics
from nvi_operator.daemon.metrics.server import MOST, SECONDS, MetricsPage, listener
from nvi_operator.daemon.metrics.textfile import EVERY, Textfile
from nvi_operator.errors import KernelError, NviError
from nvi_operator.events.event import Applied, Drift, Healed
from nvi_operator.events.record import EventLog
from nvi_operator.view.status import StatusData
from tests.unit.view.test_status import data

ROOT = Path(__file__).resolve().parents[3]
PACKAGING = ROOT / "packaging"


def measured(found: StatusData | Exception, *events: Any) -> tuple[str, dict[tuple[str, ...], float]]:
    """The text, and the samples by name and the values of their labels."""

    def look() -> StatusData:
        if isinstance(found, Exception):
            raise found
        return found

    history = EventLog(lambda: 1000.0)
    made = Metrics(look, history)
    for event in events:
        history.add(event)
    text = made.page().decode()
    assert text.startswith(made.text().decode())
    assert b"process_" not in made.text(), "node_exporter has these of itself"
    samples = {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return text, samples


def test_a_gateway_is_measured() -> None:
    applied = Applied(entries=(), done="1 created", steps=1, seconds=0.25)
    _, samples = measured(data(), applied, Drift(entries=()), Healed(steps=1, seconds=0.002))
    assert samples["nvi_in_sync",] == 1
    assert samples["nvi_gateway_info", "edge", "a1b2c3d (main)"] == 1
    assert samples["nvi_uplink_up", "wan1", "fibre-in-the-northern-building-street-2"] == 0
    assert samples["nvi_uplink_default", "wan1", "fibre-in-the-northern-building-street-2"] == 0
    assert samples["nvi_rule_flows_total", "everyone", "sourceNat"] == 7
    assert samples["nvi_dropped_packets_total", "nft table inet nvi", "spoofed"] == 3
    assert samples["nvi_paused_objects",] == 1
    assert samples["nvi_events_total", "drift"] == 1
    assert samples["nvi_events_total", "uplink-down"] == 0, "a series that appears with its first event has no rate"
    assert samples["nvi_last_event_timestamp_seconds", "applied"] == 1000.0
    assert (samples["nvi_apply_duration_seconds_count",], samples["nvi_apply_duration_seconds_sum",]) == (1, 0.25)


def on_trial() -> StatusData:
    found = data(
        unconfirmed={"revision": 8, "secondsLeft": 40.0, "by": "proof", "missing": "no answer"},
        givenUp={"revision": 7, "why": "not confirmed within 300 s", "inForce": 6},
    )
    assert found["daemon"]
    found["daemon"]["source"] = {
        "remote": "https://git.example.net/net.git",
        "ref": "main",
        "commit": "a1b2c3d",
        "author": "Ada <ada@example.net>",
        "signer": None,
        "subject": "a change",
        "fetched": "1970-01-01T00:16:10.000Z",
        "error": "no answer",
    }
    return found


def test_a_git_source_and_a_revision_on_trial_are_measured() -> None:
    found = on_trial()
    _, samples = measured(found)
    info = ("Ada <ada@example.net>", "a1b2c3d", "main", "https://git.example.net/net.git", "")
    assert samples["nvi_source_info", *info] == 1
    assert (samples["nvi_source_failing",], samples["nvi_source_last_fetch_timestamp_seconds",]) == (1, 970.0)
    assert (samples["nvi_unconfirmed_seconds",], samples["nvi_given_up",]) == (40.0, 1)
    assert "nvi_source_info" not in measured(data())[0]


def test_100_000_rules_make_few_series_and_nothing_is_lost_of_their_sum() -> None:
    rules = [{"section": "forwards", "name": f"f{number}", "flows": number} for number in range(100_000)]
    text, samples = measured(data(rules=rules))
    assert len(text) < 30_000
    assert sum(name == "nvi_rule_flows_total" for name, *_ in samples) == MOST_RULES
    assert samples["nvi_rule_flows_total", "f99999", "forwards"] == 99_999
    assert samples["nvi_section_flows_total", "forwards"] == sum(range(100_000))


def test_a_kernel_that_cannot_be_read_is_measured_as_that() -> None:
    _, samples = measured(KernelError("no"))
    assert samples["nvi_kernel_readable",] == 0
    assert ("nvi_in_sync",) not in samples


def test_names_follow_the_conventions() -> None:
    """What `promtool check metrics` looks at (tests/promtool), without promtool."""
    for family in text_string_to_metric_families(measured(on_trial())[0]):
        assert family.documentation.endswith((".", "?")), family.name
        assert re.fullmatch(r"(nvi|process)_[a-z_]+", family.name)
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total"), sample.name
            assert family.type == "counter" or not sample.name.endswith("_total"), sample.name


# --------------------------------------------------------------------------- how they get out


def test_a_scraper_gets_the_page_and_others_are_told_where_it_is() -> None:
    streams = Streams(most=64, for_root=0)
    sock = listener("127.0.0.1:0")
    port = sock.getsockname()[1]
    streams.listen(sock, MetricsPage(lambda: b"nvi_in_sync 1\n"))

    def ask(*pieces: str) -> str:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            for piece in pieces:
                client.sendall(piece.encode())
                streams.step()
            client.settimeout(5)
            answer = b""
            while True:
                streams.step()
                if not (part := client.recv(65536)):
                    return answer.decode()
                answer += part

    page = ask("GET /metr", "ics HTTP/1.1\r\nHost: x\r\n", "Accept: */*\r\n\r\n")
    assert page.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert page.endswith("\r\n\r\nnvi_in_sync 1\n")
    assert ask("GET / HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 404 ")
    assert ask("POST /metrics HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 405 ")
    assert ask("HEAD /metrics HTTP/1.1\r\n\r\n").endswith("\r\n\r\n")
    with suppress(ConnectionResetError):  # there is more that was not read
        assert ask("x" * 5000).startswith("HTTP/1.1 431 ")
    assert len(streams) == 0
    streams.close()


def test_a_scraper_gets_in_although_others_connected_and_ask_for_nothing_or_slowly() -> None:
    now = [0.0]
    streams = Streams(lambda: now[0], most=MOST, for_root=0)
    sock = listener("127.0.0.1:0")
    streams.listen(sock, MetricsPage(lambda: b"nvi_in_sync 1\n"))
    others = [socket.create_connection(sock.getsockname(), 5) for _ in range(MOST)]
    for second in range(int(SECONDS)):
        others[0].sendall(b"G")
        streams.step()
        assert len(streams) == MOST, second
        now[0] += 1
    streams.step()
    assert len(streams) == 0
    with socket.create_connection(sock.getsockname(), 5) as scraper:
        scraper.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        streams.step()  # accepts it
        assert len(streams) == 1
        streams.step()  # answers it
        assert scraper.recv(65536).startswith(b"HTTP/1.1 200 OK")
    for other in others:
        other.close()
    streams.close()


def test_a_textfile_is_replaced_as_a_whole_and_goes_with_the_daemon(tmp_path: Path) -> None:
    now, texts, errors = [0.0], iter([b"a 1\n", b"a 2\n", b"a 3\n", b"a 4\n"]), list[str]()
    path = tmp_path / "nvi.prom"
    file = Textfile(path, lambda: next(texts), errors.append, lambda: now[0])
    file.step()
    file.step()
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode) & 0o022) == ("a 1\n", 0)
    now[0] = EVERY
    file.step()
    assert path.read_text() == "a 2\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["nvi.prom"]
    file.close()
    assert not path.exists()


def test_a_textfile_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    now, errors = [0.0], list[str]()
    file = Textfile(tmp_path / "absent" / "nvi.prom", lambda: b"", errors.append, lambda: now[0])
    for _ in range(3):
        file.step()
        now[0] += EVERY
    assert errors == [f"metrics: {tmp_path}/absent/nvi.prom: writing: No such file or directory"]
    file.close()


@pytest.mark.parametrize("text", ["127.0.0.1:9478", "[::1]:9478", "/run/x.prom"])
def test_a_target_is_a_loopback_address_or_a_file(text: str) -> None:
    assert metrics_option(text) == text


@pytest.mark.parametrize("text", ["0.0.0.0:9478", "192.0.2.1:9478", "127.0.0.1", "localhost:1", ":1", "x.prom", ""])
def test_what_others_could_reach_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        metrics_option(text)


# --------------------------------------------------------------------------- what is made of them


def exposed() -> set[str]:
    text, samples = measured(on_trial(), Applied(entries=(), done="", steps=1, seconds=1.0))
    return {name for name, *_ in samples} | set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | {"up"}


def used(expressions: list[str]) -> set[str]:
    return {
        name for text in expressions for name in re.findall(r"\b((?:nvi|process)_[a-z_]+|up)\b(?=[{ \[=<>)])", text)
    }


def test_alerts_and_dashboard_use_metrics_that_exist() -> None:
    rules = (PACKAGING / "prometheus/nvi-operator.rules.yml").read_text(encoding="utf-8")
    board = json.loads((PACKAGING / "grafana/nvi-operator.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for texts in (re.findall(r"expr: (.*(?:\n {10}.*)*)", rules), expressions):
        assert len(used(texts)) > 5
        assert used(texts) <= exposed()


def test_the_document_has_every_metric() -> None:
    text = (ROOT / "docs/how-to/monitoring.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(nvi_[a-z_]+)", text, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (nvi_\S+) (\S+)", measured(on_trial())[0], re.MULTILINE))
    assert documented == set(types)


def test_a_unix_socket_serves_the_page_and_takes_the_place_of_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    listener(f"unix:{path}").close()  # as a killed daemon leaves it
    streams = Streams(most=64, for_root=0)
    streams.listen(listener(f"unix:{path}"), MetricsPage(lambda: b"nvi_in_sync 1\n"))
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(NviError, match="in use"):
        listener(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        for _ in range(4):
            streams.step()
        assert client.recv(4096).endswith(b"nvi_in_sync 1\n")
    streams.close()
    (tmp_path / "file").write_text("not a socket")
    with pytest.raises(NviError, match="in use"):
        listener(f"unix:{tmp_path / 'file'}")
