"""What the machine can do, found by trying where trying leaves no trace."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Thread

from nvi_operator.doctor.networkd import parse_network_file, parse_networkd
from nvi_operator.doctor.survey import CanMake, Networkd, NetworkdLink
from nvi_operator.errors import NviError
from nvi_operator.kernel.bpf.syscall import try_programs
from nvi_operator.kernel.inspect.process import own_namespace
from nvi_operator.kernel.kmod.index import available
from nvi_operator.kernel.netlink.interfaces import add_link
from nvi_operator.kernel.netlink.rtnetlink import Rtnetlink
from nvi_operator.kernel.netns import is_host
from nvi_operator.topology.facts import LinkFact

_SYS = Path("/sys/module")
_BTF = Path("/sys/kernel/btf")
_NETWORKD_STATE = Path("/run/systemd/netif/state")
# Of files of one name the first directory's counts; networkd.conf(5).
_CONFIGURATION = tuple(Path(directory) for directory in ("/etc", "/run", "/usr/local/lib", "/usr/lib"))


def bpf_error() -> str | None:
    """Why not even `return 0` can be loaded as a tc program and found again; None if it can."""
    try:
        try_programs()
    except NviError as error:
        return error.message
    return None


def has_conntrack_functions() -> bool:
    """May a program of tc ask conntrack about a flow? Since Linux 5.18, with BTF of the kernel and of the module."""
    version = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    is_module = (_SYS / "nf_conntrack" / "initstate").exists()
    return version >= (5, 18) and (_BTF / "vmlinux").exists() and (not is_module or (_BTF / "nf_conntrack").exists())


def networkd() -> Networkd | None:
    """None unless networkd runs, and in the namespace in question: it only knows that of PID 1."""
    if not _NETWORKD_STATE.exists() or not is_host():
        return None
    return parse_networkd(_networkd_texts())


def networkd_links(links: Iterable[LinkFact]) -> Iterator[NetworkdLink]:
    """The links that networkd configures; sd_network_link_get_network_file() reads the same place."""
    for link in links:
        state = _text(_NETWORKD_STATE.parent / "links" / str(link.ifindex))
        named = [line.partition("=")[2] for line in state.splitlines() if line.startswith("NETWORK_FILE=")]
        if named:
            drop_ins = (
                path for d in _CONFIGURATION for path in (d / "systemd/network").glob(f"{Path(named[0]).name}.d/*")
            )
            yield parse_network_file(link.ifname, named[0], map(_text, (Path(named[0]), *sorted(drop_ins))))


def _networkd_texts() -> list[str]:
    main = next((text for d in _CONFIGURATION if (text := _text(d / "systemd" / "networkd.conf"))), "")
    drop_ins: dict[str, Path] = {}
    for directory in reversed(_CONFIGURATION):
        drop_ins |= {path.name: path for path in (directory / "systemd" / "networkd.conf.d").glob("*.conf")}
    return [main, *(_text(drop_ins[name]) for name in sorted(drop_ins))]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


# --------------------------------------------------------------------------- kinds of link


def can_make(*kinds: str) -> dict[str, CanMake]:
    """Whether links of these kinds can be made.

    Tried in a new network namespace that ends with the thread. A module that is installed but not loaded is
    not tried: loading it would be a change (ifb even makes two links when it is loaded).
    """
    found: dict[str, CanMake] = dict.fromkeys(kinds, "unknown")
    to_try = []
    for kind in kinds:
        if available(kind) and not (_SYS / kind).is_dir():
            found[kind] = "loadable"
        else:
            to_try.append(kind)
    thread = Thread(target=_try_kinds, args=(to_try, found))
    thread.start()
    thread.join()
    return found


def _try_kinds(kinds: list[str], found: dict[str, CanMake]) -> None:
    if not own_namespace():
        return
    with Rtnetlink() as rtnetlink:
        for kind in kinds:
            try:
                add_link(rtnetlink, f"try-{kind}", kind)
            except OSError:
                found[kind] = "no"
            else:
                found[kind] = "yes"
