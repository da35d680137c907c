"""What a change of specs means: for each gateway that it touches the plan, and what becomes of packets. Pure.

`gateways.py` finds the gateways on both sides, `changes.py` plans from one side to the other.
"""
