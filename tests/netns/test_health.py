"""An uplink whose line is cut behind the provider's router: carrier and router stay, and probes see it."""

from __future__ import annotations

import json
import select
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nvi_operator.daemon.probes import targets
from nvi_operator.daemon.probes.prober import Probed, Prober
from nvi_operator.daemon.probes.targets import ProbeTarget, target
from nvi_operator.daemon.probes.way import ProbePath
from nvi_operator.language.model.health import Health, Probe
from tests.lab import GatewayHost, Site
from tests.lab.command import Command
from tests.lab.daemon import Daemon
from tests.lab.net import Host, until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns

QUICK = "interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 1"


def probed(probes: str = "192.0.2.80", more: str = QUICK) -> str:
    """isp-a, and isp-b in an emergency; both have probes."""
    text = spec().replace("      default: true\n", "")
    text = text.replace("- name: everyone\n      as: isp-a", "- name: everyone\n      as: { first: [isp-a, isp-b] }")
    for interface in ("wan0", "wan1"):
        line = f"      interface: {interface}\n"
        assert line in text
        text = text.replace(line, f"{line}      health: {{ probes: [{probes}], {more} }}\n")
    return text + "  defaultUplink: { first: [isp-a, isp-b] }\n"


def cut(site: Site, name: str, *, mended: bool = False) -> None:
    """The line behind the provider's router; the router itself stays."""
    host = site.isps[name].host
    if mended:
        host.nft("delete table inet cut")
    else:
        host.nft(
            "table inet cut { chain c { type filter hook forward priority 0; policy drop; icmpv6 type != 1 drop; }; }"
        )


@pytest.fixture
def start(site: Site, gateway: GatewayHost, tmp_path: Path) -> Iterator[Callable[[str], Daemon]]:
    started: list[Daemon] = []

    def begin(text: str) -> Daemon:
        started.append(Daemon(site.gateway, gateway.spec(text), tmp_path / "log"))
        return started[-1]

    site.far.serve(443)
    yield begin
    for daemon in started:
        daemon.stop()
    assert site.leaks() == 0


def states(gateway: GatewayHost, text: str) -> dict[str, str]:
    """The uplinks' states, as `nvictl status` tells them."""
    status = json.loads(gateway.nvictl("status", gateway.spec(text), "-o", "json", check=False).stdout)
    return {uplink["name"]: "up" if uplink["health"] == "up" else "down" for uplink in status["uplinks"]}


def test_it_is_left_while_it_is_down_and_taken_again_when_it_is_back(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    text = probed()
    daemon = start(text)
    daemon.until("in sync", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "up", "isp-b": "up"}, "both are up")
    assert site.client.connect(site.far.address, 443).seen == A
    with site.client.connect(site.far.address, 443, source_port=4000) as other:
        cut(site, "isp-a")
        log = daemon.until("uplink isp-a: down", "in sync")
        assert "ping 192.0.2.80: no answer" in log
        assert site.client.connect(site.far.address, 443).seen == B
        assert site.gateway.connect(site.far.address, 443).seen == B
        assert site.client.connect(site.far.address6, 443).seen == B6
        assert states(gateway, text) == {"isp-a": "down", "isp-b": "up"}
        assert gateway.differences(text) == [], "what the daemon did is no drift"
        assert gateway.nvictl("drift", gateway.spec(text)).returncode == 0
        cut(site, "isp-a", mended=True)
        daemon.until("uplink isp-a: up", "in sync")
        assert other.again().seen == A
    assert site.client.connect(site.far.address, 443).seen == A
    assert site.client.connect(site.far.address6, 443).seen == A6


def test_a_restart_during_an_outage_moves_no_flow_to_the_dead_line(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon], tmp_path: Path
) -> None:
    """The first reconcile of the new daemon comes before its first probe."""
    netns = ("--netns", gateway.host.netns)
    text = probed(more="interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 1000")
    daemon = start(text)
    daemon.until("in sync", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "up", "isp-b": "up"}, "both are up")
    cut(site, "isp-a")
    until(lambda: states(gateway, text)["isp-a"] == "down", "isp-a is down")
    daemon.until("leaves as isp-b", "in sync")
    daemon.stop()
    assert gateway.differences(text) == [], "without a daemon, too"
    applied = gateway.nvictl("apply", gateway.spec(text))
    assert "note: uplink isp-a: down for" in applied.stderr
    watch = Command(["status", str(gateway.spec(text)), "-w", "-o", "json", *netns], tmp_path / "watch")
    until(lambda: watch.text.count('"inSync"') > 1, "it looked several times", seconds=60)
    watch.send(signal.SIGKILL)
    watch.wait()
    assert watch.text.count("note: uplink isp-a: down for") == 1
    assert site.client.connect(site.far.address, 443).seen == B
    cut(site, "isp-a", mended=True)
    assert "created" not in start(text).until("in sync", seconds=60), "the kernel holds what it asks for"
    until(lambda: states(gateway, text)["isp-b"] == "up", "probes run")
    assert states(gateway, text)["isp-a"] == "down", "the hold-down goes on"
    assert site.client.connect(site.far.address, 443).seen == B


def test_an_uplink_whose_probes_are_taken_out_of_the_spec_is_held_down_by_none(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    """The probes may have been what was wrong."""
    text = probed("203.0.113.250")  # which no host has
    text = text.replace("203.0.113.250", "192.0.2.80", 2).replace("192.0.2.80", "203.0.113.250", 1)
    daemon = start(text)
    daemon.until("uplink isp-a: down", "in sync", seconds=60)
    assert site.client.connect(site.far.address, 443).seen == B
    gateway.spec("\n".join(line for line in text.splitlines() if "203.0.113.250" not in line) + "\n")
    daemon.until("uplink isp-a: up", "in sync")
    assert site.client.connect(site.far.address, 443).seen == A


def test_a_gateway_that_was_removed_begins_with_no_verdict(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    text = probed(more="interval: 0.2, timeout: 0.2, down: 2, up: 2, holdDown: 1000")
    daemon = start(text)
    daemon.until("in sync", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "up", "isp-b": "up"}, "both are up")
    cut(site, "isp-a")
    daemon.until("leaves as isp-b", "in sync")
    daemon.stop()
    gateway.nvictl("down", "--yes")
    cut(site, "isp-a", mended=True)
    gateway.nvictl("apply", gateway.spec(text))
    assert site.client.connect(site.far.address, 443).seen == A


def test_where_every_uplink_is_down_the_first_is_used_and_nothing_is_worse_than_without_probes(
    site: Site, gateway: GatewayHost, start: Callable[[str], Daemon]
) -> None:
    text = probed("203.0.113.250")  # which no host has
    daemon = start(text)
    daemon.until("uplink isp-a: down", "uplink isp-b: down", seconds=60)
    until(lambda: states(gateway, text) == {"isp-a": "down", "isp-b": "down"}, "both are down")
    assert site.client.connect(site.far.address, 443).seen == A


# --------------------------------------------------------------------------- one probe, and its way


def ask(host: Host, probe: Probe, way: ProbePath, seconds: float = 1.0) -> tuple[float | None, str]:
    """The latency and the cause of a failure, of one question."""

    def asked() -> tuple[float | None, str]:
        with select.epoll() as epoll:
            one: ProbeTarget = target(probe, way, epoll)
            one.ask()
            deadline = time.monotonic() + seconds
            while (found := one.answer()) is None and time.monotonic() < deadline and not one.why:
                for _ in epoll.poll(0.01):
                    one.progress()  # type: ignore[attr-defined]
            one.close()
            return found, one.why

    return host.call(asked)


def way(host: Host, ifname: str, source: str | None) -> ProbePath:
    return ProbePath(ifname, host.call(socket.if_nametoindex, ifname), source)


def dns_server(host: Host, code: int) -> None:
    sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host.address, 53))

    def answer() -> None:
        data, peer = sock.recvfrom(512)
        sock.sendto(data[:2] + struct.pack("!H", 0x8180 | code) + data[4:], peer)
        sock.close()

    threading.Thread(target=answer, daemon=True).start()


def web_server(host: Host, status: str) -> None:
    sock = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host.address, 80))
    sock.listen()

    def answer() -> None:
        with sock, sock.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    threading.Thread(target=answer, daemon=True).start()


@pytest.mark.parametrize(("code", "works"), [(0, True), (3, True), (2, False)])
def test_a_name_server_that_fails_to_look_up_does_not_work(site: Site, code: int, works: bool) -> None:
    dns_server(site.far, code)
    probe = Probe.model_validate({"dns": "192.0.2.80", "name": "example.org"})
    latency, why = ask(site.gateway, probe, way(site.gateway, "wan0", A))
    assert (latency is not None, why) == (works, "" if works else "the name server says error 2")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("204 No Content", ""),
        ("302 Found", "status 302"),
        ("\x1b[2J\0", "no HTTP response"),
        ("2", "no HTTP response"),
    ],
)
def test_a_portal_that_asks_for_a_login_does_not_count_nor_what_is_no_status(
    site: Site, status: str, why: str
) -> None:
    web_server(site.far, status)
    probe = Probe.model_validate({"http": "http://192.0.2.80/generate_204"})
    latency, found = ask(site.gateway, probe, way(site.gateway, "wan0", A))
    assert (latency is not None, found) == (not why, why)


def test_tcp_and_ping_in_both_families(site: Site) -> None:
    site.far.serve(443)
    for fields, ok in (
        ({"ping": "192.0.2.80"}, True),
        ({"ping": "2001:db8:f::80"}, True),
        ({"tcp": "192.0.2.80:443"}, True),
        ({"tcp": "[2001:db8:f::80]:443"}, True),
        ({"tcp": "192.0.2.80:444"}, False),
    ):
        probe = Probe.model_validate(fields)
        latency, why = ask(site.gateway, probe, way(site.gateway, "wan0", A if probe.address.version == 4 else A6))
        assert (latency is not None) == ok, f"{probe}: {why}"


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_clock_that_is_set_while_a_ping_is_under_way_makes_it_neither_late_nor_early(
    site: Site, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """The kernel notes by the time of day when the answer came."""
    clock: list[float] = []  # of the question; from then on it is right
    monkeypatch.setattr(targets, "time", SimpleNamespace(
        time=lambda: clock.pop() if clock else time.time(), monotonic=time.monotonic
    ))  # fmt: skip
    probe = Probe.model_validate({"ping": "192.0.2.80"})
    with select.epoll() as epoll:
        one = target(probe, way(site.gateway, "wan0", A), epoll)

        def answered(*began: float) -> float:
            clock.extend(began)
            site.gateway.call(one.ask)
            return until(lambda: [found for found in [one.answer()] if found is not None], "it is answered")[0]

        until(answered, "the kernel stamps what arrives")
        latency = answered(time.time() + ahead)
        one.close()
    assert 0 < latency < 1


@pytest.mark.parametrize(("address", "source"), [("192.0.2.80", A), ("2001:db8:f::80", A6)])
def test_a_ping_is_answered_while_other_programs_ping_the_same_host(site: Site, address: str, source: str) -> None:
    """mtr for instance: what they are answered takes no place before the answer."""
    with select.epoll() as epoll:
        one = target(Probe.model_validate({"ping": address}), way(site.gateway, "wan0", source), epoll)
        for _ in range(2):
            site.gateway.call(one.ask)
            site.gateway.run("ping", "-q", "-c", "200", "-i", "0.002", "-I", source, address)
        assert one.answer() is not None
        one.close()


@pytest.mark.parametrize("late", [True, False])
def test_after_a_flood_of_answers_the_next_one_is_seen(site: Site, late: bool) -> None:
    """Of a host that answers 500 times, or 500 times to an earlier question."""
    sock = site.far.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((site.far.address, 53))
    sock.settimeout(5)
    with select.epoll() as epoll:
        one = target(Probe.model_validate({"dns": site.far.address}), way(site.gateway, "wan0", A), epoll)
        for copies in (500, 1):
            site.gateway.call(one.ask)
            data, peer = sock.recvfrom(512)
            number = struct.unpack_from("!H", data)[0]
            for asked in (number - late, number):
                for _ in range(copies):
                    sock.sendto(struct.pack("!HH", asked & 0xFFFF, 0x8180) + data[4:], peer)
            found = one.answer()
        assert found is not None
        one.close()
    sock.close()


def test_the_first_answer_is_not_taken_for_a_late_one(site: Site) -> None:
    """The kernel begins to note the times of packets when the first socket asks for them, and a little later."""
    health = Health.model_validate({"probes": "192.0.2.80", "interval": 0.1, "timeout": 0.1})

    def loss() -> float:
        """In percent, when one was answered."""
        with closing(Prober()) as prober:
            prober.follow({"isp-a": Probed(health, {4: way(site.gateway, "wan0", A)})})

            def told() -> dict[str, Any]:
                site.gateway.call(prober.step)
                found: dict[str, Any] = prober.told()["uplinks"]["isp-a"]["targets"][0]
                return found if found["latency"] is not None else {}

            lost: float = until(told, "it was answered")["loss"]
            return lost

    assert [loss() for _ in range(20)] == [0.0] * 20


def test_what_a_full_connection_tracking_table_drops_says_nothing_of_the_line(site: Site) -> None:
    """The table's size is one number for the machine: that it is full is pretended, and a rule drops in its place."""
    site.far.serve(443)
    health = Health.model_validate({"probes": [{"tcp": "192.0.2.80:443"}], "interval": 0.1, "down": 1, "up": 1})
    full, said = [True], list[str]()
    with closing(Prober(is_full=lambda: full[0], say=said.append)) as prober:
        prober.follow({"isp-a": Probed(health, {4: way(site.gateway, "wan0", A)})})

        def state(expected: str, seconds: float = 5.0) -> bool:
            def reached() -> bool:
                site.gateway.call(prober.step)
                return prober.health.uplinks["isp-a"].state == expected

            try:
                return until(reached, expected, seconds=seconds)
            except AssertionError:
                return False

        assert state("up")
        rule = "table inet full { chain c { type filter hook output priority 0; ct state new drop; }; }"
        site.gateway.nft(rule)
        assert not state("down", seconds=0.8)
        site.gateway.nft("delete table inet full")
        full[0] = False
        assert state("up"), "a while passes in which it is not"
        full[0] = True
        site.gateway.nft(rule)
        assert not state("down", seconds=0.8)
        full[0] = False
        assert state("down")
        assert [text for text in said if "is full" in text] == said
        assert len(said) == 2, "once for each time"


@pytest.mark.parametrize("fields", [{"ping": "192.0.2.80"}, {"tcp": "192.0.2.80:443"}, {"ping": "2001:db8:f::80"}])
def test_a_probe_leaves_by_no_other_uplink_and_takes_no_answer_from_one(
    site: Site, gateway: GatewayHost, fields: dict[str, str]
) -> None:
    site.far.serve(443)
    gateway.apply(spec())
    probe = Probe.model_validate(fields)
    on_b = way(site.gateway, "wan1", B if probe.address.version == 4 else B6)
    assert ask(site.gateway, probe, on_b)[0] is not None
    cut(site, "isp-b")
    before = site.used()
    assert ask(site.gateway, probe, on_b, 0.5)[0] is None
    out, _ = site.through(before)
    assert out <= {"isp-b"}, "although main leads by isp-a, which works"
    # The far side sends the answer by the other provider: what comes in there is none.
    cut(site, "isp-b", mended=True)
    if probe.address.version == 4:
        site.far.ip("route replace 198.51.100.0/24 via 172.31.1.1")
        site.isps["isp-a"].host.ip("route replace 198.51.100.0/24 via 203.0.113.2")
        assert ask(site.gateway, probe, on_b, 0.5)[0] is None
