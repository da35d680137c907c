"""How long new flows go on into an uplink that does not work: `sudo .venv/bin/python -m bench.failover`.

A LAN and two ISPs. A host of the LAN opens a new flow to a far host every 2 ms. The line behind the router of isp-a
is cut; carrier and router stay. Each contestant asks the far host through isp-a until two questions in a row are
lost, and moves new flows to isp-b. Of each round:

- `since the cut`: from the cut to the first new flow at isp-b; most of it is the time that the questions take
- `since the verdict`: from the end of the second lost question (when it was sent, as isp-a's router saw it, and the
  time that it waits for its answer) to the first new flow at isp-b. A script begins to wait a little before its
  question is on the wire, and so may be a millisecond ahead.
- `lost`: new flows that went to isp-a after the verdict

Contestants ask as often and wait as long: `nvictl run`; keepalived, whose instance has the default route by isp-a as
a virtual route and a script that pings (it starts one each second at the most); and a shell script that pings and
replaces the default route, which is the least that can be done. Both of these have `masquerade` at both ISPs. Times
are the kernel's, of captured packets. They are of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report import machine, markdown
from bench.stats import rotated, summary
from tests.lab import Lab, Site
from tests.lab.daemon import Daemon
from tests.lab.topologies import FAR, dual_wan

_EVERY = 0.002  # seconds between new flows
_PORT = 9  # of the new flows: discard
_WAIT = 0.2  # seconds that a question waits for its answer
_LOST = 2  # questions in a row
_SO_TIMESTAMPNS = 35
_ETH_P_IP = 0x0800

_SPEC = """\
apiVersion: nvi-operator/v1
kind: Gateway
metadata:
  name: edge
spec:
  interfaces:
    lan0:
      networks: 192.168.1.0/24
  uplinks:
    isp-a:
      interface: wan0
      nextHop: 203.0.113.1
      addresses: 203.0.113.2
      health: {{ probes: [{far}], interval: {every}, timeout: {wait}, down: {lost} }}
    isp-b:
      interface: wan1
      nextHop: 198.51.100.1
      addresses: 198.51.100.2
  sourceNat:
    - {{ name: everyone, as: {{ first: [isp-a, isp-b] }} }}
"""

_MASQUERADE = """\
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname { "wan0", "wan1" } masquerade
    }
}
"""

_KEEPALIVED = """\
global_defs {{
    enable_script_security
    script_user root
}}
vrrp_script isp_a {{
    script "/bin/ping -q -c 1 -W {wait} -I 203.0.113.2 {far}"
    interval 1
    fall {lost}
    rise {lost}
}}
vrrp_instance isp_a {{
    interface lan0
    virtual_router_id 51
    priority 100
    advert_int 1
    track_script {{
        isp_a
    }}
    virtual_ipaddress {{
        192.168.1.250/32 dev lan0
    }}
    virtual_routes {{
        0.0.0.0/0 via 203.0.113.1 dev wan0 metric 10
    }}
}}
"""

_SCRIPT = """\
lost=0
while sleep {pause}; do
    if ping -q -c 1 -W {wait} -I 203.0.113.2 {far} >/dev/null; then lost=0; continue; fi
    lost=$((lost + 1))
    [ $lost -lt {lost} ] || {{ ip route replace default via 198.51.100.1 dev wan1; exit 0; }}
done
"""


# --------------------------------------------------------------------------- contestants


@contextmanager
def nvictl(site: Site, directory: Path) -> Iterator[None]:
    (directory / "gateway.yaml").write_text(_SPEC.format(far=FAR, every=1, wait=_WAIT, lost=_LOST))
    daemon = Daemon(site.gateway, directory, directory.parent / "nvictl.log")
    daemon.until("in sync", seconds=60)
    try:
        yield
    finally:
        daemon.stop()


@contextmanager
def keepalived(site: Site, directory: Path) -> Iterator[None]:
    _plain(site)
    site.gateway.ip("route del default", "route add default via 198.51.100.1 metric 20")
    file = directory / "keepalived.conf"
    file.write_text(_KEEPALIVED.format(far=FAR, wait=_WAIT, lost=_LOST))
    pids = [option for each in "prc" for option in (f"-{each}", str(directory / f"pid.{each}"))]
    with _running(site, ["keepalived", "-n", "-P", "-f", str(file), *pids]):
        _until(lambda: "metric 10" in site.gateway.run("ip", "route").stdout)
        yield


@contextmanager
def script(site: Site, directory: Path) -> Iterator[None]:
    _plain(site)
    text = _SCRIPT.format(far=FAR, wait=_WAIT, lost=_LOST, pause=1 - _WAIT)
    with _running(site, ["sh", "-c", text]):
        yield


def _plain(site: Site) -> None:
    site.gateway.nft(_MASQUERADE)
    site.gateway.write("net/ipv4/ip_forward", "1")


@contextmanager
def _running(site: Site, command: list[str]) -> Iterator[None]:
    process = site.gateway.popen(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


CONTESTANTS = {"nvictl run": nvictl, "keepalived": keepalived, "script": script}


# --------------------------------------------------------------------------- a round


class Capture:
    """IPv4 packets that come from the gateway to an ISP, each with the kernel's time."""

    def __init__(self, site: Site, isp: str) -> None:
        self.packets: list[tuple[float, bytes]] = []
        host = site.isps[isp].host
        self._sock = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._sock.bind(("gwa", _ETH_P_IP))
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ended:
            if not select.select([self._sock], [], [], 0.1)[0]:
                continue
            data, ancillary, _, peer = self._sock.recvmsg(64, 64)
            if peer[2] == socket.PACKET_HOST:
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
                self.packets.append((seconds + nanoseconds / 1e9, data))

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._sock.close()

    def questions(self) -> list[float]:
        return [when for when, data in self.packets if data[9] == socket.IPPROTO_ICMP and data[20] == 8]

    def flows(self) -> list[float]:
        return [when for when, data in self.packets if data[9] == socket.IPPROTO_UDP]


def flows(site: Site, ended: threading.Event) -> None:
    """A datagram from a new port each time."""

    def there() -> None:
        due = time.monotonic()
        while not ended.is_set():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"new", (FAR, _PORT))
            due += _EVERY
            time.sleep(max(0.0, due - time.monotonic()))

    site.client.call(there)


def measure(contestant: str, number: int) -> dict[str, float]:
    with Lab() as lab, TemporaryDirectory() as scratch:
        site = dual_wan(lab)
        directory = Path(scratch) / "spec"
        directory.mkdir()
        ended = threading.Event()
        with (
            closing(Capture(site, "isp-a")) as a,
            closing(Capture(site, "isp-b")) as b,
            CONTESTANTS[contestant](site, directory),
        ):
            _until(lambda: len(a.questions()) >= 3)
            sender = threading.Thread(target=flows, args=(site, ended))
            sender.start()
            time.sleep(0.5 + 0.37 * number % 1)  # anywhere between two questions
            before = len(b.flows())
            site.isps["isp-a"].host.nft(
                "table inet cut { chain c { type filter hook forward priority 0; policy drop; }; }"
            )
            cut = time.time()
            try:
                _until(lambda: len(b.flows()) > before + 50)
            finally:
                ended.set()
                sender.join()
        assert not before, f"{contestant}: {before} flows went to isp-b before the cut"
        verdict = next_to(cut, a.questions()) + _WAIT
        first = b.flows()[0]
        return {
            "since the cut": first - cut,
            "since the verdict": first - verdict,
            "lost": sum(when > verdict for when in a.flows()),
        }


def next_to(cut: float, questions: list[float]) -> float:
    """When the second question that was lost was sent."""
    return [when for when in questions if when > cut][_LOST - 1]


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("a contestant does not do its part in time")
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=list(CONTESTANTS), nargs="+", default=list(CONTESTANTS))
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.only}
    for number in range(arguments.rounds):
        for name in rotated(arguments.only, number):
            found[name].append(measure(name, number))
            print(json.dumps({"round": number, "of": name, **found[name][-1]}), file=sys.stderr, flush=True)
    rows = []
    for name, rounds in found.items():
        late = summary([1000 * each["since the verdict"] for each in rounds])
        whole = summary([1000 * each["since the cut"] for each in rounds])
        lost = summary([each["lost"] for each in rounds])
        rows.append(
            [name, f"{late.median:.1f} ms", f"{late.maximum:.1f} ms", f"{whole.median:.0f} ms", f"{lost.median:g}"]
        )
    print(f"{machine()}, {arguments.rounds} rounds\n")
    print(markdown(["", "since the verdict", "at most", "since the cut", "new flows lost meanwhile"], rows))


if __name__ == "__main__":
    main()
