"""Tests of the Debian packages in clean roots of Debian: see `make deb-test`, which sets NVI_DEB."""

from __future__ import annotations

import os

if "NVI_DEB" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
