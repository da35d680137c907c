"""Benchmarks. They are run by hand or by `make bench-...`, never timed by tests."""
