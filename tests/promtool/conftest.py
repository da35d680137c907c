"""Tests with Prometheus' promtool: see `make promtool-test`, which gets one and sets NVI_PROMTOOL."""

from __future__ import annotations

import os

if "NVI_PROMTOOL" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
