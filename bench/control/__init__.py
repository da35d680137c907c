"""The control plane's cost beside that of nft, its Python binding, ip and ferm. bench/README.md says how."""
