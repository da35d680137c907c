"""`nvictl support`: one file for a bug report."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nvi_operator.cli import options
from nvi_operator.cli.command import DONE, Command
from nvi_operator.cli.context import Context

if TYPE_CHECKING:
    from nvi_operator.cli.report import ReportFile

_PROGRAMS = {
    "kernel/links.txt": "ip -details -statistics link",
    "kernel/addresses.txt": "ip address",
    "kernel/neighbours.txt": "ip neighbour",
    "kernel/rules.txt": "ip -4 rule",
    "kernel/rules6.txt": "ip -6 rule",
    "kernel/routes.txt": "ip -4 route show table all",
    "kernel/routes6.txt": "ip -6 route show table all",
    "kernel/qdiscs.txt": "tc -statistics qdisc",
    "kernel/ruleset.txt": "nft list ruleset",
    "kernel/drops-of-the-device.txt": "ethtool -S nvi0",
    "kernel/conntrack.txt": "conntrack -S",
    "kernel/sysctl.txt": "sysctl net.ipv4.conf net.ipv4.ip_forward net.ipv6.conf net.netfilter",
    "kernel/modules.txt": "lsmod",
    "journal/nvi-operator.txt": "journalctl --unit=nvi-operator --lines=2000 --no-pager --output=short-iso",
    "journal/kernel.txt": "journalctl --dmesg --lines=500 --no-pager --output=short-iso",
    "versions/nft.txt": "nft --version",
    "versions/iproute2.txt": "ip -V",
    "versions/packages.txt": "dpkg-query --show nvi-operator* *nftables* libnftnl* libbpf* iproute2 systemd",
}
_FILES = {
    "kernel/snmp.txt": "/proc/net/snmp",
    "kernel/snmp6.txt": "/proc/net/snmp6",
    "kernel/netstat.txt": "/proc/net/netstat",
    "kernel/softnet.txt": "/proc/net/softnet_stat",
    "versions/kernel.txt": "/proc/version",
    "versions/os.txt": "/etc/os-release",
    "operator.yaml": "/etc/nvi-operator/operator.yaml",
}


def run(context: Context) -> int:
    import time

    from nvi_operator.cli.report import write
    from nvi_operator.view.redact import Redactor, without_secrets

    arguments = context.arguments
    hostname = os.uname().nodename
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    named = "" if arguments.redact else f"-{hostname}"
    path = arguments.output or Path(f"nvi-support{named}-{stamp}.tar.gz")
    removed = "passwords, tokens and keys are removed"
    if arguments.redact:
        removed += "; public addresses, MAC and mail addresses and the host's name are replaced"
    about = [
        f"nvictl support, {stamp} UTC: {removed} where they were recognized.",
        "Read it before you give it away.",
    ]
    cleaned = Redactor(hostname, hostname.partition(".")[0]) if arguments.redact else without_secrets
    count = write(path, _members(arguments.spec, _options(arguments)), cleaned, about)
    print(f"{path}: {count} files; {removed}. Read it before you give it away.")
    if not arguments.redact:
        print("nvictl support --redact also replaces public addresses and names.")
    return 0


def _options(arguments: Namespace) -> list[str]:
    given = (("--gateway", arguments.gateway), ("--host", arguments.host))
    return [word for name, value in given if value for word in (name, value)]


def _members(directory: Path | None, chosen: Sequence[str]) -> Iterator[ReportFile]:
    from nvi_operator.cli.report import of_file, of_nvictl, of_program, of_state, spec_files

    spec = [] if directory is None else [str(directory), *chosen]
    yield of_nvictl("versions/nvictl.txt", "--version")
    yield of_nvictl("versions/module.txt", "module", "status")
    yield of_nvictl("doctor.txt", "doctor", *spec)
    yield of_nvictl("status.txt", "status", *spec)
    yield of_nvictl("status.json", "status", *spec, "-o", "json")
    if spec:
        yield of_nvictl("validate.txt", "validate", *spec)
        yield of_nvictl("plan.txt", "plan", *spec, "--kernel")
        yield of_nvictl("render.txt", "render", *spec)
    yield of_state("state.json", *spec)
    yield of_nvictl("history.txt", "history")
    yield of_nvictl("events.txt", "events")
    for name, command in _PROGRAMS.items():
        yield of_program(name, *command.split())
    for name, path in _FILES.items():
        yield of_file(name, Path(path))
    if directory is not None:
        yield from spec_files(directory)


def _output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=options.path,
        help="the file to write (default: nvi-support-HOST-TIME.tar.gz in the current directory)",
    )


def _redact(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--redact",
        action="store_true",
        help="replace public addresses, MAC and mail addresses and the host's name, the same ones in the same way; "
        "passwords, tokens and keys are removed in any case",
    )


COMMAND = Command(
    "support",
    "write one file for a bug report: versions, doctor, spec, plan, status, kernel objects, journal",
    (options.optional_spec("left out: the file has no spec and no plan"), options.netns, _output, _redact),
    run,
    DONE,
)
