"""Who gives up an unconfirmed revision where no daemon does: a timer of systemd's, or else a process that waits.

Both run `nvictl abort --when-due`, which looks at the decision when it is due, and not at how long it slept.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from nvi_operator.history.decisions import DecisionsFile, Moment
from nvi_operator.kernel.again import module_command
from nvi_operator.kernel.netns import is_host
from nvi_operator.rollout.place import boot_id

WORDS = ("abort", "--when-due")
_SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
_LOOK = 2.0  # seconds between looks at the decision
_PATIENCE = 20.0  # seconds for systemd to answer


def now() -> Moment:
    return Moment(boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))


def arm(revision: int, seconds: float) -> None:
    """Something will look after `seconds`. Raises OSError."""
    if not (_SYSTEMD.is_dir() and is_host() and _by_systemd(timer(revision, seconds))):
        _detached()


def timer(revision: int, seconds: float) -> list[str]:
    """The command that makes the timer (systemd-run(1)); it lives as long as the boot does."""
    from shutil import which

    return [
        which("systemd-run") or "systemd-run",
        "--quiet",
        "--collect",
        f"--unit=nvi-operator-confirm-{revision}-{os.getpid()}",
        f"--description=gives up revision {revision} of the gateway unless it is confirmed",
        f"--on-active={seconds:g}s",
        "--timer-property=AccuracySec=100ms",
        "--property=Restart=on-failure",
        "--property=RestartSec=5",
        *module_command("nvi_operator", *WORDS),
    ]


def _by_systemd(command: list[str]) -> bool:
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _detached() -> None:
    """Starts a session of its own: it outlives the terminal and a kill of this process."""
    null = subprocess.DEVNULL
    command = module_command("nvi_operator", *WORDS)
    subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True, cwd="/")


def wait(decisions: DecisionsFile) -> bool:
    """Until a pending revision is due; False where there is none any more."""
    while (pending := decisions.read().pending) is not None:
        left = pending.left(now())
        if not left:
            return True
        time.sleep(min(left, _LOOK))
    return False
