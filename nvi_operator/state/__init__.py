"""What is common to all kinds of kernel objects, as frozen data. Desired and live state are of the same types. Pure.

`host.py` has references and states. `FibRule` is here and not in `kinds/`, because facts about the host hold rules of
others, and `topology/` is below `kinds/`.
"""
