"""Peers: programs that people use for the same job, and where they are."""

from __future__ import annotations

import shutil
from pathlib import Path

# Unpacked by the Makefile and not installed: Debian's package would start with the machine, and drop its packets.
UNPACKED = Path(__file__).parents[2] / "build/peers/usr/sbin/ferm"


def ferm() -> str | None:
    """ferm, if it and the iptables that it drives are there."""
    found = str(UNPACKED) if UNPACKED.is_file() else shutil.which("ferm")
    return found if found and shutil.which("iptables-restore") and shutil.which("perl") else None


def iptables_save() -> str:
    """Rules in the form that ferm prefers."""
    return "iptables-legacy-save" if shutil.which("iptables-legacy-restore") else "iptables-save"
