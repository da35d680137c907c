"""What a kernel holds, as frozen data. Desired and live state are of the same types. Pure.

One module per family of objects; `host.py` gathers them, `plan/change.py` is what a plan is made of.
"""
