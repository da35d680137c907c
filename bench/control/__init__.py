"""The control plane's cost: ours beside nft, its Python binding, ip and ferm. bench/README.md says how."""
