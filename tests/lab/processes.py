"""Processes of this machine."""

from __future__ import annotations

from pathlib import Path


def is_alive(pid: int) -> bool:
    """It is not when it has ended and no parent has asked for its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
