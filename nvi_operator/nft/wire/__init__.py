"""nftables elements in the kernel's own form: attributes, types, layouts, messages. Pure.

Start with `codec.py`; `packed_elements.py` is what the rest of the program sees of it.
"""
