"""One probe: the answer that it takes for one, and the way that it goes."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from nvi_operator.daemon.probes import targets
from nvi_operator.daemon.probes.prober import Probed, Prober
from nvi_operator.daemon.probes.targets import ProbeTarget, target
from nvi_operator.daemon.probes.way import ProbePath
from nvi_operator.language.model.health import Health, Probe
from tests.lab import GatewayHost, Site
from tests.lab.net import Host, until
from tests.netns.scenarios import A6, B6, A, B, spec

pytestmark = pytest.mark.netns


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


def dns_server(host: Host, answers: Callable[[bytes], Sequence[bytes]]) -> None:
    """Answers one question."""
    sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host.address, 53))

    def answer() -> None:
        data, peer = sock.recvfrom(512)
        for each in answers(data):
            sock.sendto(each, peer)
        sock.close()

    threading.Thread(target=answer, daemon=True).start()


def flagged(question: bytes, flags: int) -> bytes:
    return question[:2] + struct.pack("!H", flags) + question[4:]


def web_server(host: Host, pieces: Sequence[bytes]) -> None:
    """Answers one request, and waits for the client to close."""
    sock = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host.address, 80))
    sock.listen()

    def answer() -> None:
        with sock, sock.accept()[0] as connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            for each in pieces:
                connection.sendall(each)
            connection.recv(1)

    threading.Thread(target=answer, daemon=True).start()


@pytest.mark.parametrize(("code", "works"), [(0, True), (3, True), (2, False)])
def test_a_name_server_that_fails_to_look_up_does_not_work(site: Site, code: int, works: bool) -> None:
    dns_server(site.far, lambda question: [flagged(question, 0x8180 | code)])
    probe = Probe.model_validate({"dns": "192.0.2.80", "name": "example.org"})
    latency, why = ask(site.gateway, probe, way(site.gateway, "wan0", A))
    assert (latency is not None, why) == (works, "" if works else "the name server says error 2")


@pytest.mark.parametrize(
    ("answers", "works"),
    [
        (lambda question: [flagged(question, 0x8380)], True),  # truncated: the rest is to be had by TCP
        (lambda question: [flagged(question, 0x8180)[:12]], True),
        (lambda question: [flagged(question, 0x8180) + bytes(60000)], True),
        (lambda question: [b"", b"x", question, flagged(question, 0x8180)], True),
        (lambda question: [flagged(question, 0x8180)[:11]], False),
        (lambda question: [question], False),
        (lambda question: [bytes([question[0] ^ 1]) + flagged(question, 0x8180)[1:]], False),  # to another question
    ],
)
def test_a_name_server_works_if_one_of_its_datagrams_answers_the_question(
    site: Site, answers: Callable[[bytes], Sequence[bytes]], works: bool
) -> None:
    dns_server(site.far, answers)
    probe = Probe.model_validate({"dns": "192.0.2.80", "name": "example.org"})
    assert (ask(site.gateway, probe, way(site.gateway, "wan0", A))[0] is not None) == works


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
    web_server(site.far, [f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()])
    probe = Probe.model_validate({"http": "http://192.0.2.80/generate_204"})
    latency, found = ask(site.gateway, probe, way(site.gateway, "wan0", A), seconds=5)
    assert (latency is not None, found) == (not why, why)


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([bytes([each]) for each in b"HTTP/1.1 204 No Content\r\n"], ""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"], ""),  # and no body
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"], ""),
        ([b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(65536)] * 1000], ""),
        ([b"HTTP/1.1 200 ", *[b"x" * 65536] * 1000], ""),
        ([b"HTTP/1.0 200 OK\n\n"], ""),
        ([b"HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.80/ok\r\n\r\n"], "status 301"),
        ([b"x" * 65536] * 1000, "no HTTP response"),
        ([bytes([each]) for each in b"<html>" * 1000], "no HTTP response"),
        ([b"HTTP/1.1 200"], "no answer"),  # and no more
    ],
)
def test_the_first_line_of_a_web_servers_answer_decides_however_it_comes_and_whatever_follows(
    site: Site, pieces: Sequence[bytes], why: str
) -> None:
    web_server(site.far, pieces)
    probe = Probe.model_validate({"http": "http://192.0.2.80/"})
    latency, found = ask(site.gateway, probe, way(site.gateway, "wan0", A))
    assert (latency is not None, found or ("" if latency is not None else "no answer")) == (not why, why)


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
    full, said, later = [True], list[str](), [0.0]
    now = lambda: time.monotonic() + later[0]  # noqa: E731
    with closing(Prober(now=now, is_full=lambda: full[0], say=said.append)) as prober:
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
        assert len(said) == 1, "a table at its limit is full again and again"
        later[0], full[0] = 61.0, True
        until(lambda: site.gateway.call(prober.step) or len(said) == 2, "told again, a minute later")


@pytest.mark.parametrize("fields", [{"ping": "192.0.2.80"}, {"tcp": "192.0.2.80:443"}, {"ping": "2001:db8:f::80"}])
def test_a_probe_leaves_by_no_other_uplink_and_takes_no_answer_from_one(
    site: Site, gateway: GatewayHost, fields: dict[str, str]
) -> None:
    site.far.serve(443)
    gateway.apply(spec())
    probe = Probe.model_validate(fields)
    on_b = way(site.gateway, "wan1", B if probe.address.version == 4 else B6)
    assert ask(site.gateway, probe, on_b)[0] is not None
    site.isps["isp-b"].cut()
    before = site.used()
    assert ask(site.gateway, probe, on_b, 0.5)[0] is None
    out, _ = site.through(before)
    assert out <= {"isp-b"}, "although main leads by isp-a, which works"
    # The far side sends the answer by the other provider: what comes in there is none.
    site.isps["isp-b"].mend()
    if probe.address.version == 4:
        site.far.ip("route replace 198.51.100.0/24 via 172.31.1.1")
        site.isps["isp-a"].host.ip("route replace 198.51.100.0/24 via 203.0.113.2")
        assert ask(site.gateway, probe, on_b, 0.5)[0] is None
