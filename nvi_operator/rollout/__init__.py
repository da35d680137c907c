"""How a spec is tried on a gateway: recorded, and given up where it must not stay.

`reconcile/` makes the kernel hold a spec, and knows neither a clock nor a file. Here are both, for commands and the
daemon alike: `attempt.py` records a reconcile, `trial.py` gives it up unless it is confirmed, and `waiter.py` sees
to that; `place.py` says where, `content.py` what a spec consists of.
"""
