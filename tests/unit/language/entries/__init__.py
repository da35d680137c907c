"""Entries beside the YAML: CSV and JSON Lines, which mean the same as entries in it, and are refused as clearly."""
