"""One reconcile: observe, plan, check, apply, verify, revert. Read `cycle.py` first.

No clock, no files, nothing printed: `daemon/` and `cli/` do that.
"""
