"""The types of the spec language. Read `gateway.py` first."""
