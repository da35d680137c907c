"""Metrics for Prometheus: `families.py` says what is measured, `server.py` and `textfile.py` how it gets out.

`prometheus_client` is needed only where metrics are asked for (the extra `metrics`, or python3-prometheus-client).
"""
