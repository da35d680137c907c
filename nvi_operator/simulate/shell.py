"""A shell in a gateway that stands, with commands that run in the networks around it.

Until here the far end of an interface answered for every neighbour. For programs it is a host, with some addresses of
its own: of inside interfaces a client of each network and the servers of forwards, of uplinks the router and hosts of
the Internet.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import nvi_operator
from nvi_operator.errors import NviError
from nvi_operator.experiment.places import Places
from nvi_operator.experiment.surroundings import Wire
from nvi_operator.history.revision import Content, Revision, RevisionResult, Standing
from nvi_operator.history.store import History
from nvi_operator.kernel.netns import within
from nvi_operator.language.model.values import FAMILIES, Address
from nvi_operator.rollout.place import asked, namespace
from nvi_operator.simulate.isolation import named
from nvi_operator.simulate.simulation import SimulatedGateway
from nvi_operator.simulate.wire import PEER

_SERVERS = 64  # of one interface
_BIN, _STATE = Path("/run/simulate/bin"), Path("/run/simulate/state")  # in memory that only this process sees


def open_shell(gateway: SimulatedGateway, content: Content) -> int:
    """Until it is left; its exit code. `content`: what was applied. Raises NviError."""
    for end in gateway.ends:
        with within(end.netns):
            for where in ("all", PEER):
                Path(f"/proc/sys/net/ipv6/conf/{where}/disable_ipv6").write_text("0", encoding="ascii")
        named(end.netns, end.wire.ifname)
        _ip(end.wire.ifname, list(_lines(gateway, end.wire)))
        end.stop()
    _run(["ip", "neigh", "flush", "all"], "neighbours")  # routers had hardware addresses that the far ends have not
    for directory in (_BIN, _STATE):
        directory.mkdir(parents=True)
    _record(gateway.name, content)
    for end in gateway.ends:
        enter = f"exec ip netns exec {shlex.quote(end.wire.ifname)}"
        _script(end.wire.ifname, f"[ $# -gt 0 ] && {enter} \"$@\"\nPS1='{end.wire.ifname}$ ' {enter} bash --norc")
    root = Path(nvi_operator.__file__).parents[1]
    _script("nvictl", f'PYTHONPATH={shlex.quote(str(root))} exec {shlex.quote(sys.executable)} -m nvi_operator "$@"')
    environment = {
        **os.environ,
        "PATH": f"{_BIN}:{os.environ.get('PATH', os.defpath)}",
        "PS1": f"{gateway.name}# ",
        "STATE_DIRECTORY": str(_STATE),
    }
    return subprocess.run(["bash", "--norc"], env=environment, check=False).returncode


def _record(name: str, content: Content) -> None:
    """As an apply would, so that `nvictl explain --live`, `trace` and `status` know the spec."""
    applied = Revision(
        0, time.time(), name, "apply", asked("nvictl simulate"), RevisionResult.APPLIED, Standing.CONFIRMED
    )
    with History(_STATE / namespace()) as history:
        history.add(applied, content)


def help_text(gateway: SimulatedGateway) -> str:
    """What the shell offers."""
    hosts = {end.wire.ifname: ", ".join(map(str, _hosts(gateway, end.wire))) for end in gateway.ends}
    lines = (f"  {ifname} COMMAND: behind {ifname}, as {addresses}" for ifname, addresses in hosts.items())
    return "\n".join(["This shell is in the gateway, where nvictl, ip and nft work. exit ends it all.", *lines])


def _hosts(gateway: SimulatedGateway, wire: Wire) -> Iterator[Address]:
    """The addresses of the far end."""
    places = Places(gateway.topology, gateway.around)
    inside = next((i for i in gateway.topology.inside_interfaces if i.interface.ifname == wire.ifname), None)
    if inside is not None and not wire.uplinks:
        for family in FAMILIES:
            yield from islice(places.clients(inside, family), 4)
        servers = (e.target for e in gateway.topology.forwards if places.home(e.target, inside.tenant) is inside)
        yield from islice(dict.fromkeys(servers), _SERVERS)
    else:
        yield from (address for address, _ in wire.routers)
        yield from (gateway.around.far[family][0] for family in gateway.topology.families)


def _lines(gateway: SimulatedGateway, wire: Wire) -> Iterator[str]:
    for address in dict.fromkeys(_hosts(gateway, wire)):
        near = next((a.network for a in wire.addresses if address in a.network), None)
        length = near.prefixlen if near else address.max_prefixlen
        nodad = " nodad" if address.version == 6 else ""
        if not address.is_link_local:
            yield f"addr add {address}/{length} dev {PEER}{nodad}"
        else:
            yield f"addr add {address}/64 dev {PEER} nodad"
    for family in FAMILIES:
        via = wire.gateway_address(family)
        if via is not None:
            yield f"route add {via}/{via.max_prefixlen} dev {PEER}"
            yield f"route add {'default' if family == 4 else '::/0'} via {via} dev {PEER}"


def _ip(name: str, lines: list[str]) -> None:
    _run(["ip", "-n", name, "-batch", "-"], f"{name}: addresses", "".join(f"{line}\n" for line in lines))


def _run(command: list[str], what: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise NviError(f"shell: {what}: {done.stderr.strip()}")


def _script(name: str, line: str) -> None:
    path = _BIN / name
    path.write_text(f"#!/bin/bash\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
