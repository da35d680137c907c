"""How many flows a second the NAT log keeps up with: `sudo .venv/bin/python -m bench.nat_log`.

A program sends one datagram to each of many ports at a given rate. Each is a flow that a rule translates, and is
dropped right behind it, so that little but conntrack and the log have work; conntrack ends it a second later, when it
comes by. The log has one CPU, all else has the others. Reported are the rate that was reached, lines that were
written, lines that the log counts as lost, and the CPU time of the log's process. At rate 0 the log is stopped while
flows are opened, and then reads what waits: its CPU time for a line then says what one core can do.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab import Host, Lab

_LOG_CPU = 1
_TICK = 0.002  # seconds


def send(host: Host, address: str, count: int, rate: int) -> float:
    """So many flows; the rate that was reached."""

    def there() -> float:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {_LOG_CPU})
        sockets = []
        for _ in range(-(-count // 60000)):
            sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[-1].bind(("", 0))
        began, sent = time.monotonic(), 0
        while sent < count:
            due = min(count, int((time.monotonic() - began) * rate))
            while sent < due:
                sockets[sent // 60000].sendto(b"x", (address, 1024 + sent % 60000))
                sent += 1
            time.sleep(_TICK)
        return count / (time.monotonic() - began)

    return host.call(there)


def measure(flows: int, rate: int, form: str, directory: Path) -> dict[str, object]:
    with Lab() as lab:
        host = lab.host("gw")
        host.ip("link set lo up")
        host.nft(
            "table ip nat { chain o { type nat hook postrouting priority 100; meta l4proto udp snat to 127.0.0.2; };"
            " chain i { type filter hook input priority 0; meta l4proto udp drop; }; }"
        )
        host.write("net/netfilter/nf_conntrack_udp_timeout", "1")
        file = directory / f"{rate}.{form}"
        command = [sys.executable, "-m", "nvi_operator", "nat-log", "--file", str(file), "--format", form]
        log = subprocess.Popen([*command, "--netns", host.netns], preexec_fn=_pinned)
        while not file.exists() or "listening" not in file.read_text():
            time.sleep(0.02)
        began = _cpu(log.pid)
        if not rate:
            log.send_signal(signal.SIGSTOP)
        reached = send(host, "127.0.0.3", flows, rate or 100_000)
        log.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 60
        while _entries(host) > 10 and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(1)
        seconds = _cpu(log.pid) - began
        log.send_signal(signal.SIGTERM)
        log.wait(60)
        kinds, lost = _counted(file, form)
        return {
            "asked": rate,
            "flows/s": round(reached),
            "flows": flows,
            "starts": kinds["start"],
            "ends": kinds["end"],
            "lost": lost,
            "microseconds of CPU a line": round(1e6 * seconds / max(1, kinds["start"] + kinds["end"]), 1),
        }


def _pinned() -> None:
    os.sched_setaffinity(0, {_LOG_CPU})


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _entries(host: Host) -> int:
    return int(host.run("sysctl", "-n", "net.netfilter.nf_conntrack_count").stdout)


def _counted(file: Path, form: str) -> tuple[Counter[str], int]:
    kinds: Counter[str] = Counter()
    lost = 0
    for line in file.read_text().splitlines():
        if form == "csv":
            words = line.split(",")
            kinds[words[1]] += 1
            lost += int(words[-1]) if words[1] == "lost" else 0
        else:
            record = json.loads(line)
            kinds[record["event"]] += 1
            lost += record.get("lost", 0)
    return kinds, lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--flows", type=int, default=100_000, help="of each rate (default: 100000); of a host that tracks as many"
    )
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 5_000, 20_000], help="flows a second")
    parser.add_argument("--format", choices=("json", "csv"), default="json")
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        for rate in arguments.rates:
            print(json.dumps(measure(arguments.flows, rate, arguments.format, Path(directory))), flush=True)


if __name__ == "__main__":
    main()
