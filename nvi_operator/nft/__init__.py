"""nftables as data: AST to text, listing to AST, and the transaction between two tables. Pure.

ast           what a table consists of. Start here. objects: each kind of object, described once
values        the canonical form of values
text, table_text: AST to what nft reads. listing (expressions, shapes): what nft lists to AST
diff          for people; batches (transaction): for the kernel. references: which sets rules ask
packing       large tables: columns, shards. wire/: elements in the kernel's own form
incremental   the fast way after an edit
"""
