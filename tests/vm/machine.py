"""Boots a kernel in QEMU with an initramfs that does one job, and reads the verdict."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.vm.image import base_image, job_image
from tests.vm.kernels import Kernel
from tests.vm.module import build
from tests.vm.report import BrokenReportError, Record, parse, verified
from tests.vm.root import release_of, root_of
from tests.vm.suites import Suite

# What a stock kernel offers to find mistakes with memory: red zones, poison and checks of every object, where packets
# and devices live (of all objects it takes ten times as long), and of freed pages.
_CACHES = "skbuff*,kmalloc-*,net_namespace,ip_dst_cache,ip6_dst_cache,nf_conntrack*"
DEBUG = (f"slub_debug=FZP,{_CACHES}", "page_poison=1", "init_on_free=0", "kfence.sample_interval=20")

_KERNEL = ("console=ttyS0", "oops=panic", "panic=-1", "mitigations=off", "random.trust_cpu=on")

# Two CPUs, in turns or at once. At once they find races, and the emulator has one of its own (QEMU 7.2): now and then
# one meets the breakpoint with which the other patches the kernel's text, after it was removed: "Oops: int3".
_IN_TURNS = ("-accel", "tcg,thread=single", "-smp", "2")
_AT_ONCE = ("-accel", "tcg,thread=multi", "-smp", "2")
_COUNTING = ("-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0,sleep=off")

_DISK_BYTES = 64 << 20


@dataclass(frozen=True)
class Outcome:
    records: tuple[Record, ...]
    problems: tuple[str, ...]  # none: the job was done, and the kernel had nothing to say against it
    console: str


def run(kernel: Kernel, suite: Suite, *, on_record: Callable[[Record], None]) -> Outcome:
    """SystemExit when it cannot even be started."""
    with tempfile.TemporaryDirectory(prefix="nvi-vm-") as scratch:
        if not suite.then:
            return _boot(kernel, suite, suite.argv, None, on_record)
        disk = Path(scratch) / "disk"
        with disk.open("wb") as file:
            file.truncate(_DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        first = _boot(kernel, suite, suite.argv, disk, on_record)
        if first.problems:
            return first
        second = _boot(kernel, suite, suite.then, disk, on_record)
    return Outcome(first.records + second.records, second.problems, first.console + second.console)


def _boot(
    kernel: Kernel, suite: Suite, argv: Sequence[str], disk: Path | None, on_record: Callable[[Record], None]
) -> Outcome:
    root = root_of(kernel)
    release = release_of(kernel, root)
    secret = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="nvi-vm-") as scratch:
        directory = Path(scratch)
        job = {"secret": secret, "argv": argv, "output": suite.output}
        initrd, part = directory / "initrd", directory / "job"
        device = "/dev/nvme0n1" if disk else ""
        job_image(root, release, build(root, release), job, part, systemd=suite.systemd, disk=device)
        with initrd.open("wb") as file:
            for each in (base_image(root, release), part):
                subprocess.run(["cat", str(each)], stdout=file, check=True)
        options = " ".join([*_KERNEL, *(DEBUG if suite.debug else ()), *suite.parameters])
        command = [
            *("setpriv", "--pdeathsig", "KILL"),  # no guest outlives whoever asked for it
            *("qemu-system-x86_64", *_processors(suite), "-cpu", "max", "-m", "3072"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"),
            *("-kernel", str(root / "boot" / f"vmlinuz-{release}"), "-initrd", str(initrd), "-append", options),
            *("-serial", f"file:{directory / 'console'}", "-serial", f"file:{directory / 'report'}"),
            *(_disk(disk) if disk else ()),
        ]
        code = _follow(command, directory / "report", suite.timeout, on_record)
        console = (directory / "console").read_text(encoding="utf-8", errors="replace")
        records, problems = judge(code, (directory / "report").read_bytes(), secret, suite.timeout)
    return Outcome(records, problems, console)


def _disk(image: Path) -> Sequence[str]:
    """By NVMe: the kernels have its driver built in, as that of ext4."""
    return ("-drive", f"file={image},format=raw,if=none,id=disk", "-device", "nvme,drive=disk,serial=disk")


def _processors(suite: Suite) -> Sequence[str]:
    if suite.icount:
        return _COUNTING
    return _AT_ONCE if suite.at_once else _IN_TURNS


def _follow(command: list[str], report: Path, timeout: float, on_record: Callable[[Record], None]) -> int | None:
    """QEMU's exit code; None if it was ended because the time was over."""
    end = time.monotonic() + timeout
    shown = 0
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while process.poll() is None and time.monotonic() < end:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            records = list(parse(report.read_bytes())) if report.exists() else []
            for record in records[shown:]:
                on_record(record)
            shown = len(records)
        return process.poll()
    finally:
        process.kill()
        process.wait()


def judge(code: int | None, data: bytes, secret: str, timeout: float) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """The records, and everything that speaks against success."""
    ended = f"stopped after {timeout:g} s" if code is None else f"exit code {code}"
    try:
        records = tuple(verified(data, secret))
    except BrokenReportError as error:
        records = tuple(parse(data))
        return records, (f"{error} (machine: {ended})", *_failures(records))
    problems = _failures(records)
    verdict = next((r for r in records if r["kind"] == "verdict"), {})
    collected = sum(r.get("collected", 0) for r in records)
    passed = {r["test"] for r in records if r.get("when") == "call" and r["outcome"] == "passed"}
    if len(passed) != collected:
        problems.append(f"{collected} tests were collected, {len(passed)} of them passed")
    if verdict.get("exit") != 0:
        problems.append(f"the job's exit code was {verdict.get('exit')}")
    problems += [f"kernel log: {line}" for line in verdict.get("alarms", [])]
    if verdict.get("taint"):
        problems.append(f"the kernel is tainted: {verdict['taint']:#x}")
    if verdict.get("left_loaded"):
        problems.append("nvi could not be unloaded at the end")
    if code != 0:
        problems.append(f"the machine did not power off: {ended}")
    return records, tuple(problems)


def _failures(records: tuple[Record, ...]) -> list[str]:
    return [f"{r['test']} ({r['when']}): failed\n{r['detail']}" for r in records if r.get("outcome") == "failed"]
