"""What a change of specs means: for each gateway that it touches the plan, and what becomes of packets. Pure.

gateways   the gateways on both sides, as pairs of specs
changes    the plan from one side to the other. Start here
regions    the flows that are asked about
classes    those that fare otherwise
alike      what need not be walked, because the change leaves it as it is
outcome    how
"""
