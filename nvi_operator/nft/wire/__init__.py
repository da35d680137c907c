"""nftables elements in the kernel's own form: attributes, types, codecs, messages. Pure.

codec         elements to bytes and back. Start here. intervals: of ranges; types: of each key and value
packed_elements: what the rest of the program uses
messages      changes of elements (attributes); counters, tables: what libnftables lists too slowly or wrong
monitor       what the kernel reports of changes; replay: a table after them
trace         what it reports of a traced packet
"""
