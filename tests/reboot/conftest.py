"""A gateway that boots twice: see tests/vm, suite `reboot`."""

from __future__ import annotations

from pathlib import Path

if not Path("/etc/systemd/system/nvi-test.service").exists():
    collect_ignore_glob = ["test_*.py"]
