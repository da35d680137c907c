"""The guest's only program: does the job, then says what the kernel thought of it. Runs as root, right after init."""

from __future__ import annotations

import json
import os
import re
import subprocess
import termios
import time
import tty
from pathlib import Path
from typing import Any

from tests.vm.image import JOB
from tests.vm.report import Writer

PORT = "/dev/ttyS1"

# include/linux/panic.h: what has to do with a module that is not the distribution's own.
_OUT_OF_TREE, _UNSIGNED = 1 << 12, 1 << 13

_ALARMS = re.compile(
    r"WARNING:|BUG|Oops|general protection|Call Trace|RCU.*stall|rcu.*stall|unregister_netdevice: waiting|refcount_t|"
    r"UBSAN|KASAN|KFENCE: (?!initialized)|possible recursive|suspicious RCU|Object .*(not freed|overwritten)|Redzone|"
    r"Poison|blocked for more than|hung task|Dead loop|Unknown symbol|disagrees about version|invalid module format"
)


def main() -> None:
    job = json.loads(Path(JOB).read_text(encoding="utf-8"))
    with open(PORT, "wb", buffering=0) as port:
        tty.setraw(port.fileno())
        report = Writer(port, job["secret"])
        _run(job, report)
        report.close()
        termios.tcdrain(port.fileno())


def _run(job: dict[str, Any], report: Writer) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    report.write("start", release=os.uname().release, command_line=Path("/proc/cmdline").read_text().strip())
    started = time.monotonic()
    code = _command(job, report)
    subprocess.run(["modprobe", "-r", "nvi"], check=False)
    alarms = _alarms()
    taint = int(Path("/proc/sys/kernel/tainted").read_text()) & ~(_OUT_OF_TREE | _UNSIGNED)
    left = Path("/sys/module/nvi").exists()
    report.write(
        "verdict", exit=code, alarms=alarms, taint=taint, left_loaded=left, seconds=round(time.monotonic() - started)
    )


def _command(job: dict[str, Any], report: Writer) -> int:
    """Run it. What it writes to $NVI_REPORT becomes records, or what it prints; the rest is on the console."""
    reading, writing = os.pipe()
    # pytest compiles the plugins that it finds, with asserts rewritten: for hypothesis a minute on an emulated CPU.
    chosen = {"NVI_REPORT": str(writing), "PYTHONUNBUFFERED": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {**os.environ, **chosen}
    output = {"stdout": writing, "stderr": writing} if job["output"] else {}
    process = subprocess.Popen(job["argv"], pass_fds=[writing], env=environment, **output)
    os.close(writing)
    with open(reading, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            report.write("job", **({"line": line.rstrip()} if job["output"] else json.loads(line)))
    return process.wait()


def _alarms() -> list[str]:
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True, errors="replace").stdout
    return [line for line in log.splitlines() if _ALARMS.search(line)]


if __name__ == "__main__":
    main()
