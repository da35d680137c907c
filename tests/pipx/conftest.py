"""Tests of an installation by pipx: see `make pipx-test`, which gets it and sets NVI_PIPX."""

from __future__ import annotations

import os

if "NVI_PIPX" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
