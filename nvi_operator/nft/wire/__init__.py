"""nftables elements in the kernel's own form: attributes, types, codecs, messages. Pure.

Start with `codec.py`; the rest of the program uses `packed_elements.py`.
"""
