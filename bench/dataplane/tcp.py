"""Bulk TCP through a gateway. Both ends, and the gateway between them, work on one CPU: its time is the cost."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from bench.dataplane.generator import Cost, softirq_clock
from tests.lab import Host

_CHUNK = 1 << 20
_SECONDS = 20.0


def bulk(client: Host, server: Host, address: str, megabytes: int, cpu: int) -> tuple[Cost, str]:
    """What a megabyte costs, and whom the server saw. The receiver discards without a copy (MSG_TRUNC)."""
    listener = server.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    sender = client.socket(listener.family, socket.SOCK_STREAM)
    with listener, sender:
        for each in (listener, sender):
            each.settimeout(_SECONDS)
        listener.bind((address, 0))
        listener.listen()
        sender.connect(listener.getsockname()[:2])
        receiver, peer = listener.accept()
        with receiver, ThreadPoolExecutor(2) as threads:
            receiver.settimeout(_SECONDS)
            softirq = softirq_clock(cpu)
            wall, before = time.perf_counter_ns(), time.clock_gettime_ns(softirq)
            taking = threads.submit(_receive, receiver, cpu)
            giving = threads.submit(_send, sender, megabytes, cpu)
            spent = giving.result() + taking.result() + time.clock_gettime_ns(softirq) - before
            wall = time.perf_counter_ns() - wall
    return Cost(spent / megabytes, wall / megabytes), str(peer[0])


def _send(sock: socket.socket, megabytes: int, cpu: int) -> int:
    os.sched_setaffinity(0, {cpu})
    data = bytes(_CHUNK)
    before = time.thread_time_ns()
    for _ in range(megabytes):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    return time.thread_time_ns() - before


def _receive(sock: socket.socket, cpu: int) -> int:
    os.sched_setaffinity(0, {cpu})
    place = bytearray(_CHUNK)
    before = time.thread_time_ns()
    while sock.recv_into(place, _CHUNK, socket.MSG_TRUNC):
        pass
    return time.thread_time_ns() - before
