"""Tests in a real browser: see `make browser-test`, which installs one and sets NVI_BROWSER."""

from __future__ import annotations

import os

if "NVI_BROWSER" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
