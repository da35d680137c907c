"""`python -m tests.lab TOPOLOGY [--spec DIR]`: a laboratory with a shell to poke in it.

In the shell, the name of a host runs a command in it: `client ping 192.0.2.80`, `gw nft list ruleset`,
`far tcpdump -ni a0`; alone it opens a shell there. `nvictl` works on the gateway.
"""

from __future__ import annotations

import argparse
import os
import stat
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from tests.lab.command import ROOT
from tests.lab.drawing import drawing
from tests.lab.gateway import GatewayHost
from tests.lab.net import Lab, clean
from tests.lab.topologies import TOPOLOGIES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__.splitlines()[0])
    parser.add_argument(
        "topology", nargs="?", choices=[*TOPOLOGIES, "clean"], help="what to build; `clean` removes leftovers"
    )
    parser.add_argument("--list", action="store_true", help="draw all topologies, and build none")
    parser.add_argument("--spec", metavar="DIR", help="apply this spec to the gateway")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    if arguments.list:
        for name in TOPOLOGIES:
            console.print(f"[bold]{name}[/bold]\n")
            console.print(Text(drawing(name) + "\n"))
    elif arguments.topology == "clean":
        console.print(f"removed: {', '.join(clean()) or 'nothing'}")
    elif arguments.topology is None:
        parser.error("name a topology, or --list, or clean")
    elif os.geteuid() != 0:
        parser.error("network namespaces need root: run it with sudo")
    elif arguments.spec and not Path(arguments.spec).exists():
        parser.error(f"{arguments.spec}: no such directory")
    else:
        return shell(arguments.topology, arguments.spec, console)
    return 0


def shell(topology: str, spec: str | None, console: Console) -> int:
    """Build it, and run a shell in it; the shell's exit code."""
    with Lab() as lab, TemporaryDirectory(prefix="nvi-lab-") as scratch:
        site = TOPOLOGIES[topology](lab)
        console.print(Text(drawing(topology)))
        servers = [host for name, host in lab.hosts.items() if name == "far" or name.endswith("server")]
        for host in servers:
            host.serve(443)
        if spec:
            done = GatewayHost(site.gateway).nvictl("apply", Path(spec).resolve(), check=False)
            if done.returncode:
                console.print(Text(done.stderr.rstrip()))
                return done.returncode
            console.print(Text(done.stdout.splitlines()[-1]))
        commands = Path(scratch)
        for name, host in lab.hosts.items():
            enter = f"exec ip netns exec {host.netns}"
            _script(commands / name, f"[ $# -gt 0 ] && {enter} \"$@\"\nPS1='{name}$ ' {enter} bash --norc")
        _script(
            commands / "nvictl",
            f'PYTHONPATH={ROOT} exec ip netns exec {site.gateway.netns} {sys.executable} -m nvi_operator "$@"',
        )
        console.print(f"hosts: {', '.join(lab.hosts)}")
        console.print("their names are commands, as in `client ping 192.0.2.80`; nvictl works on the gateway")
        console.print(f"{', '.join(host.name for host in servers)} answer on port 443; exit ends it all")
        environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "PS1": "lab$ "}
        ended = subprocess.run(["bash", "--norc"], env=environment, check=False).returncode
        console.print(f"foreign sources that the ISPs saw: {site.leaks()!r}")
    return ended


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/bash\n{line}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


if __name__ == "__main__":
    sys.exit(main())
