"""The spec language: what a user writes, how it is read, and what it must satisfy. Pure.

`model/` has the types, `load/` turns files into them, `check/` judges the whole, `fast/` does both for an edit.
"""
