"""Probes of uplinks and of servers: `targets.py` asks one target, `prober.py` asks all of them in the daemon's loop.

What the answers mean is not known here: `daemon/health_state.py` judges them.
"""
