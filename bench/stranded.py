"""What it costs to end the flows of one address among a million: `sudo .venv/bin/python -m bench.stranded`.

A network namespace with so many entries in conntrack, of UDP and translated; 1,000 have the address that was lost.
In each round `nvictl` finds and deletes these as `apply` and `run` do (`kernel/netlink/conntrack.py`); they are
made again, and `conntrack -D -q ADDRESS` does it. Times are CPU time, of the process and of what the kernel does
for it, so that a busy machine does not count. `MiB` is what the peak of the process grew by.

`nf_conntrack_max` is one number for the whole machine. It is raised where that is allowed and needed, and put back.
"""

from __future__ import annotations

import argparse
import json
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

from bench.control import usage
from bench.report import machine
from bench.stats import summary
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.kernel.netlink.socket import CREATE, NETFILTER, Netlink, message
from nvi_operator.language.model.settings import Numbers
from nvi_operator.nft.wire.attributes import NESTED, attribute
from nvi_operator.topology.flows import FlowQuestion
from tests.lab import Host, Lab

_LOST = "203.0.113.2"
_OTHERS = 20  # addresses of the pool that the other flows leave with
_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_NEW, _UDP, _PER_MESSAGE = 1 << 8, 17, 200


def fill(host: Host, address: str, first: int, count: int) -> None:
    """Flows of UDP from ports of their own, with this translated source."""

    def there() -> None:
        with Netlink(NETFILTER) as netlink:
            for at in range(first, first + count, _PER_MESSAGE):
                numbers = range(at, min(at + _PER_MESSAGE, first + count))
                netlink.write(b"".join(_message(number, address) for number in numbers))

    host.call(there)


def _message(number: int, address: str) -> bytes:
    source = struct.pack("!I", 0x0A000000 + number // 1000)
    destination, port = ip_address(f"192.0.2.{1 + number % 250}").packed, 10_000 + number % 1000
    translation = attribute(1, ip_address(address).packed) + attribute(2, ip_address(address).packed)  # from, to
    body = (
        struct.pack("=BBH", 2, 0, 0)
        + attribute(NESTED | 1, _tuple(source, port, destination, 5060))
        + attribute(NESTED | 2, _tuple(destination, 5060, source, port))
        + attribute(NESTED | 6, translation)  # CTA_NAT_SRC
        + attribute(7, struct.pack("!I", 3600))  # CTA_TIMEOUT
    )
    return message(_NEW, CREATE, 0, body)


def _tuple(source: bytes, source_port: int, destination: bytes, destination_port: int) -> bytes:
    ports = attribute(2, struct.pack("!H", source_port)) + attribute(3, struct.pack("!H", destination_port))
    ends = attribute(1, source) + attribute(2, destination)
    return attribute(NESTED | 1, ends) + attribute(NESTED | 2, attribute(1, bytes([_UDP])) + ports)


def entries(host: Host) -> int:
    return int(host.read("net/netfilter/nf_conntrack_count"))


def by_nvictl(host: Host) -> tuple[float, float]:
    """CPU seconds, and MiB."""

    def there() -> int:
        with Kernel(Numbers()) as kernel:
            question = FlowQuestion(4, "", translated=ip_network(_LOST))
            return kernel.end_flows(kernel.tracked_flows(question))

    usage.reset_peak()
    held, began = usage.peak(), usage.cpu()
    ended = host.call(there)
    assert ended == _ENDED, ended
    return usage.cpu() - began, (usage.peak() - held) / 1024


def by_conntrack(host: Host) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    host.run("conntrack", "-D", "-f", "ipv4", "-q", _LOST)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 0.0


_ENDED = 1000


@contextmanager
def room(wanted: int) -> Iterator[None]:
    before = int(_MAX.read_text())
    if before < wanted:
        with suppress(OSError):
            _MAX.write_text(str(wanted))
    try:
        yield
    finally:
        if before < wanted:
            with suppress(OSError):
                _MAX.write_text(str(before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with room(arguments.entries + 50_000), Lab() as lab:
        host = lab.host("gw")
        host.nft("table ip nat { chain o { type nat hook postrouting priority 100; }; }")
        share = (arguments.entries - _ENDED) // _OTHERS
        for number in range(_OTHERS):
            fill(host, f"203.0.113.{16 + number}", _ENDED + number * share, share)
        ours, theirs, grown = [], [], []
        for _ in range(arguments.rounds):
            fill(host, _LOST, 0, _ENDED)
            there = entries(host)
            seconds, mib = by_nvictl(host)
            assert entries(host) == there - _ENDED, "exactly these"
            fill(host, _LOST, 0, _ENDED)
            assert entries(host) == there
            ours.append(seconds)
            grown.append(mib)
            theirs.append(by_conntrack(host)[0])
            assert entries(host) == there - _ENDED
        ratio = summary([one / other for one, other in zip(ours, theirs, strict=True)])
        buckets = host.read("net/netfilter/nf_conntrack_buckets")
        print(f"{machine()}, {there:,} entries in {buckets} buckets, {_ENDED:,} ended, {arguments.rounds} rounds")
        print(
            json.dumps(
                {
                    "nvictl, s of CPU": round(summary(ours).median, 3),
                    "conntrack -D, s of CPU": round(summary(theirs).median, 3),
                    "ratio": round(ratio.median, 3),
                    "MiB": round(max(grown), 1),
                }
            )
        )


if __name__ == "__main__":
    main()
