"""Sockets to rtnetlink and nf_tables, for what libraries are too slow for."""
