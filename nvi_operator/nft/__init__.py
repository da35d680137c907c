"""nftables as data: AST to text, listing to AST, and the transaction between two tables. Pure."""
