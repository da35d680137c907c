"""The NAT log of a gateway with traffic: who was translated to what, from its beginning to its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import GatewayHost, Host, Site
from tests.lab.command import ROOT
from tests.lab.net import until
from tests.netns.scenarios import A6, A, spec

pytestmark = pytest.mark.netns


@contextmanager
def logging(host: Host, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "nvi_operator", "nat-log", "--file", str(file), "--netns", host.netns]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        until(lambda: file.exists() and records(file), "it listens", seconds=30)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def flows(file: Path, event: str, **fields: object) -> list[dict[str, Any]]:
    return [r for r in records(file) if r["event"] == event and fields.items() <= r.items()]


@pytest.mark.parametrize("dataplane", ["{ type: bpf }", "{ type: bpf, flowCache: auto }"], ids=["plain", "cache"])
def test_a_flow_is_logged_when_it_begins_and_when_it_ends(
    site: Site, gateway: GatewayHost, dataplane: str, tmp_path: Path
) -> None:
    gateway.apply(spec(dataplane))
    site.gateway.write("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1")
    site.far.serve(443)
    site.server.serve(443)
    file = tmp_path / "log"
    with logging(site.gateway, file) as process:
        with site.client.connect(site.far.address, 443, source_port=4000) as flow:
            assert flow.seen == A
        with site.client.connect(site.far.address6, 443) as flow:
            assert flow.seen == A6
        with site.far.connect(A, 443) as flow:
            assert flow.by == "server"
        with site.gateway.connect(site.far.address, 443):  # which is not translated
            pass
        until(lambda: len(flows(file, "start")) == 3, "three lines", seconds=15)
        (begun,) = flows(file, "start", source="192.168.1.10", sourcePort=4000)
        assert (begun["newSource"], begun["newSourcePort"], begun["newDestination"]) == (A, 4000, site.far.address)
        assert flows(file, "start", newSource=A6, destination=site.far.address6)
        assert flows(file, "start", destination=A, newDestination="192.168.1.80")
        file.rename(tmp_path / "log.1")
        process.send_signal(signal.SIGHUP)

        def ended() -> list[dict[str, Any]]:
            site.gateway.run("conntrack", "-L", check=False)  # a listing ends what is over
            return flows(file, "end", id=begun["id"]) if file.exists() else []

        (end,) = until(ended, "its end", seconds=20)
        assert {key: end[key] for key in begun if key not in ("time", "event")} == {
            key: value for key, value in begun.items() if key not in ("time", "event")
        }
    assert len(flows(tmp_path / "log.1", "start")) == 3
    assert records(file)[-1]["event"] == "stopped"
