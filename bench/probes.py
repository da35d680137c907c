"""What probes cost the daemon: `sudo .venv/bin/python -m bench.probes`.

A gateway with 50 uplinks, each with three targets that are pinged every second, and the same gateway without probes,
in network namespaces. Of both: CPU time of `nvictl run` (user and system, of its scheduler's account) as a share of
a core, and its resident memory. The difference is what the probes cost. CPU time says the same on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.control import usage
from bench.report import machine
from tests.lab import Host, Lab
from tests.lab.daemon import Daemon

_TARGETS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
_SETTLED = 5.0  # seconds after the first reconcile

_HEAD = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata:
  name: edge
spec:
  interfaces: { lan0: { networks: 192.168.1.0/24 } }
  sourceNat: [{ name: everyone, as: { first: [isp-0, isp-1] } }]
  uplinks:
"""


def spec(uplinks: int, health: str) -> str:
    return _HEAD + "".join(
        f"    isp-{n}: {{ interface: wan{n}, nextHop: 10.64.{n}.1, addresses: 10.64.{n}.2{health} }}\n"
        for n in range(uplinks)
    )


def gateway(lab: Lab, uplinks: int) -> Host:
    host, far = lab.host("gw"), lab.host("far")
    with lab.at_once():
        lab.link(host, "lan0", lab.host("lan"), "eth0")
        host.ip("addr add 192.168.1.1/24 dev lan0")
        far.ip("link set dev lo up", *(f"addr add {target} dev lo" for target in _TARGETS))
        for n in range(uplinks):
            lab.link(host, f"wan{n}", far, f"isp{n}")
            host.ip(f"addr add 10.64.{n}.2/30 dev wan{n}")
            far.ip(f"addr add 10.64.{n}.1/30 dev isp{n}")
    return host


def measure(uplinks: int, seconds: float, health: str) -> dict[str, float]:
    with Lab() as lab, TemporaryDirectory() as scratch:
        directory = Path(scratch, "spec")
        directory.mkdir()
        (directory / "gateway.yaml").write_text(spec(uplinks, health))
        daemon = Daemon(gateway(lab, uplinks), directory, Path(scratch, "log"))
        try:
            daemon.until("in sync", seconds=60)
            time.sleep(_SETTLED)
            pid = daemon.process.pid
            before, kernel, began = usage.cpu(pid), in_kernel(pid), time.monotonic()
            time.sleep(seconds)
            lasted = time.monotonic() - began
            share, kernel = (usage.cpu(pid) - before) / lasted, (in_kernel(pid) - kernel) / lasted
            assert "down" not in daemon.text, daemon.text
            status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="ascii")
            resident = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
            assert resident is not None
            found = {"% of a core": round(100 * share, 2), "of it in the kernel": round(100 * kernel, 2)}
            return {**found, "MiB": round(int(resident[1]) / 1024, 1)}
        finally:
            daemon.stop()


def in_kernel(pid: int) -> float:
    """Seconds, sampled by ticks of 10 ms: right on average."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[12]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uplinks", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement (default: 30)")
    arguments = parser.parse_args()
    probes = f", health: {{ probes: [{', '.join(_TARGETS)}], interval: 1 }}"
    print(machine())
    for name, health in (("without probes", ""), ("with probes", probes)):
        print(json.dumps({"of": name, **measure(arguments.uplinks, arguments.seconds, health)}), flush=True)


if __name__ == "__main__":
    main()
