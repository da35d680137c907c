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

from tests.lab.drawing import drawing
from tests.lab.gateway import ROOT, GatewayHost
from tests.lab.net import Lab, clean
from tests.lab.topologies import TOPOLOGIES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__.splitlines()[0])
    parser.add_argument("topology", choices=[*TOPOLOGIES, "clean"], help="what to build; `clean` removes leftovers")
    parser.add_argument("--spec", metavar="DIR", help="apply this spec to the gateway")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    if arguments.topology == "clean":
        console.print(f"removed: {', '.join(clean()) or 'nothing'}")
        return 0
    with Lab() as lab, TemporaryDirectory(prefix="nvi-lab-") as scratch:
        site = TOPOLOGIES[arguments.topology](lab)
        console.print(Text(drawing(arguments.topology)))
        for host in (site.far, *(h for n, h in lab.hosts.items() if n in ("server", "red-server", "blue-server"))):
            host.serve(443)
        if arguments.spec:
            console.print(Text(GatewayHost(site.gateway).apply(arguments.spec).stdout.splitlines()[-1]))
        commands = Path(scratch)
        for name, host in lab.hosts.items():
            _script(commands / name, f'exec ip netns exec {host.netns} "${{@:-bash}}"')
        _script(
            commands / "nvictl",
            f'cd {ROOT} && exec {sys.executable} -m nvi_operator "$@" --netns {site.gateway.netns}',
        )
        console.print(f"hosts: {', '.join(lab.hosts)}; far and the servers answer on port 443; exit ends it all")
        environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "PS1": "lab$ "}
        subprocess.run(["bash", "--norc"], env=environment, check=False)
        console.print(f"foreign sources that the ISPs saw: {site.leaks()}")
    return 0


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/bash\n{line}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


if __name__ == "__main__":
    sys.exit(main())
