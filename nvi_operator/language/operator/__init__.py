"""The document of the operator itself, `kind: Operator`: where the gateway's spec comes from, and who is told. Pure.

`model.py` has the types, `values.py` and `fields.py` what a single value may be, `load.py` turns a file into them.
"""
