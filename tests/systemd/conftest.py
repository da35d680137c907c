"""Tests of packaging/ under a systemd that booted the machine for them: see tests/vm, suite `systemd`."""

from __future__ import annotations

from pathlib import Path

if not Path("/etc/systemd/system/nvi-test.service").exists():
    collect_ignore_glob = ["test_*.py"]
