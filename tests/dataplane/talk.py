"""Flows through the bench: servers that report their peer, bulk TCP, and hand-made packets."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tests.dataplane.bench import Bench
from tests.dataplane.netns import SLOWNESS, Netns

_CHUNK = bytes(1 << 16)


def family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def serve(netns: Netns, address: str, kind: int) -> Iterator[int]:
    """The port of a server that answers "<peer> <request>" within the `with`."""
    server = netns.socket(family(address), kind)
    server.settimeout(None)
    server.bind((address, 0))
    port: int = server.getsockname()[1]

    def datagrams() -> None:
        while True:
            data, peer = server.recvfrom(2048)
            if not data:
                return
            server.sendto(f"{peer[0]} ".encode() + data, peer)

    def streams() -> None:
        connection, peer = server.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(f"{peer[0]} ".encode() + lines.readline())

    if kind == socket.SOCK_STREAM:
        server.listen()
    thread = Thread(target=streams if kind == socket.SOCK_STREAM else datagrams)
    thread.start()
    try:
        yield port
    finally:
        # An empty datagram, or one more connection, ends it.
        with netns.socket(family(address), kind) as last:
            if kind == socket.SOCK_DGRAM:
                last.sendto(b"", (address, port))
            elif thread.is_alive():
                last.connect((address, port))
        thread.join()
        server.close()


def ask(netns: Netns, address: str, port: int, kind: int, line: bytes) -> tuple[str, bytes]:
    """Whom the server of `serve` saw, and what it heard."""
    with netns.socket(family(address), kind) as sock:
        sock.connect((address, port))
        sock.sendall(line + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += sock.recv(2048)
    seen, _, heard = answer.rstrip(b"\n").partition(b" ")
    return seen.decode(), heard


def upload(client: Netns, server: Netns, address: str, octets: int) -> int:
    """How many octets the server got of as many sent by TCP."""
    with server.socket(family(address), socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen()
        with client.socket(family(address), socket.SOCK_STREAM) as out:
            out.connect(listener.getsockname()[:2])
            connection, _ = listener.accept()

            def send() -> None:
                left = octets
                while left:
                    left -= out.send(_CHUNK[:left])
                out.shutdown(socket.SHUT_WR)

            sender = Thread(target=send)
            sender.start()
            got = 0
            with connection:
                while part := connection.recv(1 << 16):
                    got += len(part)
            sender.join()
    return got


@contextmanager
def flood(netns: Netns, *addresses: str) -> Iterator[None]:
    """Small datagrams as fast as they go, while within; at most 30 s, or 300 on an emulated CPU."""
    stop = Event()
    sock = netns.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send() -> None:
        end = time.monotonic() + 30 * SLOWNESS
        while not stop.is_set() and time.monotonic() < end:
            for address in addresses:
                for port in range(2000, 2064):
                    try:
                        sock.sendto(b"flood", (address, port))
                    except OSError:
                        time.sleep(0.001)

    thread = Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sock.close()


@contextmanager
def tun(lab: Bench, ifname: str, *addresses: str) -> Iterator[int]:
    """An interface of the gateway without Ethernet header; whoever holds the descriptor is the network behind it."""

    def attach() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        # TUNSETIFF with IFF_TUN | IFF_NO_PI, include/uapi/linux/if_tun.h
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", ifname.encode(), 0x1001))
        return fd

    fd = lab.gateway.call(attach)
    try:
        for address in addresses:
            lab.gateway.run(f"ip address add {address} dev {ifname}")
        lab.gateway.run(f"ip link set {ifname} up")
        yield fd
    finally:
        os.close(fd)


def datagram(source: str, destination: str, port: int, data: bytes) -> bytes:
    """An IP packet with a UDP datagram from port 4321, checksums included."""
    kind = family(source)
    addresses = socket.inet_pton(kind, source) + socket.inet_pton(kind, destination)
    length = 8 + len(data)
    udp = struct.pack(">HHHH", 4321, port, length, 0) + data
    checksum = _checksum(addresses + struct.pack(">HH", 17, length) + udp)
    udp = udp[:6] + struct.pack(">H", checksum) + udp[8:]
    if kind == socket.AF_INET6:
        return struct.pack(">IHBB", 6 << 28, length, 17, 64) + addresses + udp
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, 17, 0)
    return head[:10] + struct.pack(">H", _checksum(head + addresses)) + addresses + udp


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    words: tuple[int, ...] = struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def received(fd: int, destination: str) -> bytes | None:
    """The UDP payload of a packet waiting in the tun for `destination`; None if the next one is something else."""
    try:
        packet = os.read(fd, 2048)
    except BlockingIOError:
        return None
    expected = socket.inet_pton(family(destination), destination)
    start, protocol, head = (16, 9, 20) if packet[0] >> 4 == 4 else (24, 6, 40)
    if packet[start : start + len(expected)] != expected or packet[protocol] != 17:
        return None
    return packet[head + 8 :]
