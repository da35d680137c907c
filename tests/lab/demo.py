"""`make demo`: the real reconciler on a gateway between a LAN and two ISPs, shown step by step.

Everything happens in network namespaces that are gone at the end, also when it is interrupted.
"""

from __future__ import annotations

import difflib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from nvi_operator.view.segment import unstyled
from nvi_operator.view.table import signed
from tests.lab import GatewayHost, Host, Lab, Site, dual_wan
from tests.lab.command import ROOT
from tests.lab.daemon import Daemon
from tests.lab.drawing import drawing

SHOWN = 36  # lines of the first plan; `nvictl plan` prints all

console = Console(highlight=False, soft_wrap=True)


def title(text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left")


def say(text: str) -> None:
    console.print(Text(text, style="dim"))


def shown(text: str, limit: int = 60) -> None:
    """Output of nvictl, in the colours it would have had."""
    styles = {"+": "green", "-": "red", "~": "yellow"}
    lines = text.rstrip().splitlines()
    width = console.width if console.is_terminal else None
    for line in lines[:limit]:
        for piece in signed(line, width, indent="  "):
            console.print(Text(unstyled(piece), style=styles.get(line[:1], "")))
    if len(lines) > limit:
        console.print(Text(f"  ... and {len(lines) - limit} more lines; the last one: {lines[-1]}", style="dim"))


A, B = "203.0.113.2|2001:db8:a::2", "198.51.100.2|2001:db8:b::2"
FLOWS = (
    ("SNAT A", "client", "far", 443),
    ("SNAT B", "server", "far", 443),
    ("DNAT A", "far", A, 443),
    ("DNAT B", "far", B, 443),
    ("hairpin A", "client", A, 443),
    ("hairpin B", "client", B, 443),
)


def flow_table(site: Site, names: tuple[str, ...] = ()) -> Table:
    table = Table(title="flows that were made just now", title_justify="left", box=None, pad_edge=False)
    for column in ("what", "from", "to", "server", "source it saw", "out by", "back by"):
        table.add_column(column, no_wrap=True)
    for what, source, to, port in FLOWS:
        if names and what not in names:
            continue
        targets = (site.far.address, site.far.address6) if to == "far" else to.split("|")
        for target in targets:
            table.add_row(
                what, source, target, *_flow(site, site[source] if source != "far" else site.far, target, port)
            )
    return table


def _flow(site: Site, host: Host, target: str, port: int) -> tuple[str, str, str, str]:
    before = site.used()
    with host.connect(target, port) as flow:
        out, back = site.through(before)
        if host is site.far:  # it asked: what the ISPs carried first is the way in
            out, back = back, out
        by, seen = flow.by, flow.seen
    way_out, way_back = (" ".join(sorted(isps)) or "-" for isps in (out, back))
    return by, seen, way_out, way_back


def main() -> int:
    started = time.monotonic()
    with TemporaryDirectory(prefix="nvi-demo-") as scratch:
        directory = Path(scratch)
        shutil.copytree(ROOT / "examples" / "dual-wan", directory / "spec")
        title("1. A gateway, a LAN, two ISPs that count foreign sources, a far server")
        console.print(Text(drawing("dual-wan")))
        with Lab() as lab:
            site = dual_wan(lab)
            leaks = run(site, directory)
    title(f"Done in {time.monotonic() - started:.0f} s. Foreign sources that the ISPs saw, all the time: {leaks}")
    return 1 if leaks else 0


def run(site: Site, directory: Path) -> int:
    gateway, spec = GatewayHost(site.gateway), directory / "spec"
    site.far.serve(443)
    site.server.serve(8443)

    title("2. nvictl plan: what the spec (examples/dual-wan) would change")
    shown(gateway.nvictl("plan", spec).stdout, SHOWN)

    title("3. nvictl run: the reconciler applies it, and stays")
    daemon = Daemon(gateway.host, spec, directory / "log")
    try:
        shown(daemon.until("in sync").splitlines()[-1])
        console.print(flow_table(site))

        title("4. An edit of the spec: everyone leaves by isp-b")
        file = spec / "gateway.yaml"
        old = file.read_text()
        new = old.replace("    - name: everyone\n      as: isp-a", "    - name: everyone\n      as: isp-b")
        assert old != new
        console.print(Syntax("".join(_changed(old, new)), "diff", background_color="default"))
        file.write_text(new)
        shown(daemon.until("in sync"))
        console.print(flow_table(site, ("SNAT A",)))

        title("5. Another process flushes an nft chain of the gateway, and deletes an ip rule")
        for command in ("nft flush chain inet nvi srcnat", "ip rule del pref 1600 from 198.51.100.2"):
            say(f"# {command}")
            site.gateway.run(*command.split())
            shown(daemon.until("in sync"))
        console.print(flow_table(site, ("SNAT B", "DNAT B")))
    finally:
        daemon.stop()

    title("6. nvictl down: everything owned is removed, saved settings are restored")
    shown(gateway.down().stdout.splitlines()[-1])
    left = gateway.owned()
    say(f"left behind: {', '.join(left) or 'nothing'}")
    return site.leaks()


def _changed(old: str, new: str) -> Iterator[str]:
    yield from difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), "gateway.yaml", "gateway.yaml", n=1
    )


if __name__ == "__main__":
    sys.exit(main())
