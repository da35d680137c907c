"""nftables elements in the kernel's own form: attributes, types, layouts, messages. Pure.

Start with `layout.py`; `elements.py` is what the rest of the program sees of it.
"""
